"""The page on which an amp is played in a browser.

* `documents`: what the page is told of an amp and of a shelf, as JSON
* `site`: the files of the page, made when they are asked for, and written as static files
* `server`: gives them to a browser on this machine
* `static/`: the page itself: HTML, style and ES modules, without a build step
"""
