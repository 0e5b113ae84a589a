"""What a file is, by its first bytes, whatever its name or its server says. Knows nothing of decoding."""

import re

HEAD_BYTES = 512
"""As much of a file as `kind_of` looks at."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
HEIF = "HEIF"
# Pictures that we can't read: they are told apart from what is none, so that nobody misses them without a word.
JPEG_XL, JPEG_2000 = "a JPEG XL picture", "a JPEG 2000 picture"
PICTURES = frozenset((*FORMATS, HEIF, JPEG_XL, JPEG_2000))

PICTURE_ENDINGS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jxl", ".jp2", ".j2k",
))  # fmt: skip
"""A file that is called so claims to be a picture. Many a picture has no such name."""

BEGINNINGS = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("WEBP", rb"RIFF....WEBP"),
        ("GIF", rb"GIF8[79]a"),
        # Two letters alone begin many a text: the size of the second header counts too.
        ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("TIFF", rb"(II|MM)(\*\0|\0\*|\+\0|\0\+)"),
        (JPEG_XL, rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
        (JPEG_2000, rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
        ("an SVG drawing", rb"(?i)(\xef\xbb\xbf)?\s*(?=<)(?!.*<(html|!doctype html)).*<svg\b"),
        ("an HTML page", rb"(?i)(\xef\xbb\xbf)?\s*<(.*<)?(!doctype html|html|head|body)\b"),
        ("a pointer of Git LFS (`git lfs pull` brings the file itself)", rb"version https://git-lfs\.github\.com/"),
        ("a PDF", rb"%PDF-"),
        ("a Photoshop file", rb"8BPS"),
        ("an icon (ICO)", rb"\0\0\x01\0[^\0]\0"),
        ("a ZIP archive", rb"PK\x03\x04"),
        ("a gzip file", rb"\x1f\x8b"),
    )
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
HEIF_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"))


def kind_of(head: bytes) -> str | None:
    """One of FORMATS, HEIF, what else it is in words (`a PDF`), or None where its first bytes don't tell."""
    head = head[:HEAD_BYTES]
    if head[4:8] == b"ftyp":
        return _kind_of_box(head)
    return next((kind for kind, pattern in BEGINNINGS if pattern.match(head)), None)


def _kind_of_box(head: bytes) -> str:
    """Films, AVIF and HEIF begin alike, with the brand of the file and those that it is compatible with."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in (8, *range(16, size - 3, 4))}
    if brands & AVIF_BRANDS:
        return "AVIF"
    return HEIF if brands & HEIF_BRANDS else "a film"
