"""Published weights under our names: Mask2Former of Hugging Face and of detectron2, and backbones of classifiers."""
