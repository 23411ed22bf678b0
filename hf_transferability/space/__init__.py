"""The Gradio Space: rank on a page, look at a benchmark. `space/` at the top of the repository is what goes to the Hub.

`limits` says what one visitor may ask, `worker` runs the command line in a process of its own, `work` is what the page and the
API call, `page` shows it, `publishing` uploads it. Nothing here imports torch, so that the page is there in seconds.
"""
