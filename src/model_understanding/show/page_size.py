"""How large a page is, said in the page itself."""

from markupsafe import Markup

# No page holds a null character: it is none that HTML allows, and every string's are made visible.
SIZE_MARK = Markup("\0")


def with_size(html: str) -> str:
    """Return a page with its size in UTF-8 in place of every mark, the size's own digits included.

    Args:
        html: The page, with ``SIZE_MARK`` wherever its size is to stand.

    >>> with_size(f"<p>{SIZE_MARK}</p>")
    '<p>15 bytes</p>'
    """
    parts = html.split(SIZE_MARK)
    rest = sum(len(part.encode("utf-8")) for part in parts)
    words, said = "", rest
    while True:  # ends: a larger size never has fewer digits
        size = rest + (len(parts) - 1) * len(words)
        if words and size == said:
            return words.join(parts)
        words, said = size_words(size), size


def size_words(size: int) -> str:
    """Return a number of bytes in words.

    >>> size_words(1_234_567)
    '1.23 MB (1,234,567 bytes)'
    >>> size_words(999)
    '999 bytes'
    """
    exact = f"{size:,} bytes"
    if size < 1_000:
        return exact
    return f"{size / 1e3:.0f} kB ({exact})" if size < 1_000_000 else f"{size / 1e6:.2f} MB ({exact})"
