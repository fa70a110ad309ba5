"""The method: losses, matching, pseudo-identity pairs, criterion. Knows `structures`, never the model."""
