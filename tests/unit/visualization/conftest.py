"""The browser and the web server of the video tests serve pages here, too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "video"))
