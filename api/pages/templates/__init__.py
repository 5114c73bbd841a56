"""The templates of the pages; a package only so that they are installed with the code."""
