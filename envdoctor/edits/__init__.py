"""Text edits of other programs' files that keep everything else: comments, order, line ends, encoding, final newline.

Each module knows one kind of file. All work on bytes, change as little as possible, and change nothing the second time.
"""
