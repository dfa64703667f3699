"""Other people's text, turned into the facts that the checks judge.

A text is streamed (`sources`), the lines that can matter are found in it (`needles`), each is freed of what launchers
and terminals put around it (`lines`), and the readers named in `registry` look at it, with the lines before and after
it where they need them (`passage`). What they found becomes facts: the same ones that a live machine gives, and
`envdoctor.facts.log.Log` for the errors that no fact can show.
"""
