"""Published data sets as people have them: layouts, zips, official categories."""
