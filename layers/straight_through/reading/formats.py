"""What a file is by its bytes, and whether its name and its route let it be so.

Nothing here advises what would let a damaged, a cut or an encrypted file pass.
"""

import codecs
import re
from dataclasses import dataclass

from quantemplate.bodies import File
from straight_through.errors import WrongFormat
from straight_through.reading.containers import has_biff_password, ole_names, zip_names

GZIP, ZIP, OLE = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TEXT = (".csv", ".txt", ".tsv")
ENCRYPTED = ("EncryptedPackage", "EncryptionInfo")
SHOWN_NAMES, LONGEST_NAME = 3, 60  # of an archive's members, and characters of each
NOTHING = "Nothing was uploaded."


@dataclass(frozen=True)
class Kind:
    """What a file is: in words after "it is", and what a person does about it."""

    said: str
    todo: str


# --- what Quantemplate takes, under the name that fits it -----------------------------------------
PLAIN = Kind("plain text", "If it is a CSV, drop it again with a name that ends with .csv.")
GZIPPED = Kind("gzip", "Drop it again with a name that ends with .csv.gz.")
XLSX = Kind("an XLSX workbook", "Drop it again with a name that ends with .xlsx.")
XLS = Kind("an XLS workbook", "Drop it again with a name that ends with .xls.")
TAKEN = {
    **dict.fromkeys(TEXT, PLAIN),
    ".gz": GZIPPED,
    ".xlsx": XLSX,
    ".xlsm": XLSX,
    ".xls": XLS,
}

# --- what it does not take under any name ---------------------------------------------------------
_TABLE_OF_IT = "Drop the table that it holds, as CSV or as a workbook."
_UNPACK = "Unpack it, and drop the table that is in it as CSV or as a workbook."
_AS_XLSX = "Open it with a spreadsheet program, save it as XLSX, and drop that."
_FETCH = "Fetch the file itself from where it came, look into it, and drop that."
LOCKED = Kind(
    "a workbook with a password, so that nobody else can read it",
    "Save it without the password and drop it again.",
)
ZERO = Kind(
    "no text: it has bytes that are zero",
    "It may have been cut off on its way, or be of a program of its own. Drop the table again, as "
    "CSV or as a workbook.",
)
UNMARKED = Kind("text in UTF-16 without the mark that says so", "Save it as UTF-8 and drop that.")
UTF_32 = Kind("text in UTF-32", "Save it as UTF-8 and drop that.")
OLE_UNKNOWN = Kind("an OLE file of some program, and no workbook", _TABLE_OF_IT)
CUT_OLE = Kind(
    "an XLS workbook, or another OLE file, that cannot be read",
    "It may have been cut off on its way. Drop it again from where it came.",
)
CUT_ZIP = Kind(
    "a workbook or a ZIP archive whose end is missing, so that it cannot be read",
    "It was cut off on its way. Drop it again from where it came.",
)
LFS = Kind(
    "a pointer of Git LFS, which stands for the file",
    "Fetch the file itself (git lfs pull), and drop that.",
)
PAGE = Kind(
    "a web page (HTML)",
    "A page to sign in, or an error, may have come in place of the file. " + _FETCH,
)
TABLE_PAGE = Kind("a web page (HTML) that has the name of a workbook", _AS_XLSX)
EXCEL_XML = Kind("a workbook in the XML of Excel 2003", _AS_XLSX)
ERROR_XML = Kind("an error message in XML, such as S3 gives one", _FETCH)
XML = Kind("XML", _TABLE_OF_IT)
JSON = Kind("JSON", "Export the table as CSV and drop that.")
MAIL = Kind("an e-mail", "Save what is attached to it, and drop that.")
SHORTCUT = Kind("a shortcut to a file, and not the file", _FETCH)
PLACEHOLDER = Kind(
    "a placeholder of a file that is in the cloud", "Download the file to the machine, and drop it."
)
# By the first bytes; none of them can begin a table in text.
MAGIC: dict[bytes, Kind] = {
    b"%PDF-": Kind("a PDF document", _TABLE_OF_IT),
    b"{\\rtf": Kind("a text document (RTF)", _TABLE_OF_IT),
    b"7z\xbc\xaf\x27\x1c": Kind("a 7-Zip archive", _UNPACK),
    b"Rar!\x1a\x07": Kind("a RAR archive", _UNPACK),
    b"\x28\xb5\x2f\xfd": Kind("packed with Zstandard", _UNPACK),
    b"BZh": Kind("packed with bzip2", _UNPACK),
    b"\xfd7zXZ\x00": Kind("packed with xz", _UNPACK),
    b"\x04\x22\x4d\x18": Kind("packed with LZ4", _UNPACK),
    b"\x1f\x9d": Kind("packed with compress (.Z)", _UNPACK),
    b"PK\x05\x06": Kind("a ZIP archive with nothing in it", _TABLE_OF_IT),
    b"PK\x07\x08": Kind("a part of a ZIP archive", "Send it as a whole, unpacked."),
    b"PAR1": Kind("a Parquet file", "Export the table as CSV and drop that."),
    b"Obj\x01": Kind("an Avro file", "Export the table as CSV and drop that."),
    b"SQLite format 3\x00": Kind("an SQLite database", "Export the table as CSV and drop that."),
    b"\x4c\x00\x00\x00\x01\x14\x02\x00": SHORTCUT,
    b"[InternetShortcut]": SHORTCUT,
    b"bplist00": PLACEHOLDER,
    b"\x00\x05\x16\x07": Kind("what a Mac keeps beside a file (AppleDouble)", "Drop the file."),
    b"version https://git-lfs.github.com/spec/": LFS,
    b"-----BEGIN PGP": Kind("encrypted (PGP)", "Decrypt it, and drop what it holds."),
    b"-----BEGIN ": Kind("a key or a certificate", "Never drop a key. " + _TABLE_OF_IT),
    b"\x89PNG": Kind("a picture", _TABLE_OF_IT),
    b"\xff\xd8\xff": Kind("a picture", _TABLE_OF_IT),
    b"GIF8": Kind("a picture", _TABLE_OF_IT),
    b"MZ\x90": Kind("a program", _TABLE_OF_IT),
    b"\x7fELF": Kind("a program", _TABLE_OF_IT),
}
ENDINGS = {".icloud": PLACEHOLDER, ".url": SHORTCUT, ".webloc": SHORTCUT, ".lnk": SHORTCUT}
# A text's beginning, without a mark and white space.
HTML = re.compile(
    rb"<(!doctype\s+html|html|head|body|title|meta|script|style|div|table|center|h[1-6])[\s>/]",
    re.IGNORECASE,
)
A_MAIL = re.compile(
    rb"(?:From [^\n]*\n)?(?:(?:Received|Return-Path|Delivered-To|From|To|Date|Subject|Message-ID|"
    rb"MIME-Version|Content-Type|X-[A-Za-z-]+):[^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)
A_JSON = re.compile(rb'\{\s*("[^"\n]*"\s*:|\})|\[\s*(\{\s*"[^"\n]*"\s*:|\[)')
# What is in a ZIP archive, by a member that only such a file has.
IN_ZIP = {
    "xl/workbook.xml": XLSX,
    "xl/workbook.bin": Kind("a binary workbook (XLSB)", _AS_XLSX),
    "content.xml": Kind("an OpenDocument file (.ods)", _AS_XLSX),
    "word/document.xml": Kind("a Word document", _TABLE_OF_IT),
    "ppt/presentation.xml": Kind("a presentation", _TABLE_OF_IT),
    "Index/Document.iwa": Kind("a file of Apple's Numbers or Pages", _AS_XLSX),
}
IN_OLE = {
    "Workbook": XLS,
    "Book": XLS,
    "WordDocument": Kind("a Word document", _TABLE_OF_IT),
    "PowerPoint Document": Kind("a presentation", _TABLE_OF_IT),
    "__properties_version1.0": MAIL,
}
NUL_SHARE = 100  # a hundredth of a text's bytes: more of them are zero in no text
LOOK = 64 * 1024  # bytes in which they are counted


def kind_of(file: File, start: bytes) -> Kind:
    """Return what a file is by its `start` and, of a container, by what is in it."""
    if start.startswith(OLE):
        return _in_ole(ole_names(file, start), start)
    if start.startswith(ZIP):
        return _in_zip(zip_names(file))
    return kind_of_start(file.name, start)


def kind_of_start(name: str, start: bytes) -> Kind:
    """Return what a file is by its start alone."""
    if start.startswith(GZIP):
        return GZIPPED
    if start.startswith(OLE):
        # Of a packed one the directory cannot be read.
        return XLS if _in_ole(None, start) is CUT_OLE else LOCKED
    if start.startswith(ZIP):
        return Kind("a workbook or a ZIP archive", _UNPACK)
    found = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    return found or _of_text(name.lower(), start)


def _in_ole(names: set[str] | None, start: bytes) -> Kind:
    """Return what an OLE container is, by the names of its streams where they are known."""
    if names is None:
        marks = (name.encode("utf-16-le") for name in ENCRYPTED)
        return LOCKED if any(mark in start for mark in marks) else CUT_OLE
    if names & set(ENCRYPTED):
        return LOCKED
    kind = next((kind for name, kind in IN_OLE.items() if name in names), OLE_UNKNOWN)
    return LOCKED if kind is XLS and has_biff_password(start) else kind


def _in_zip(names: list[str] | None) -> Kind:
    """Return what a ZIP archive is, by the names of its members."""
    if names is None:
        return CUT_ZIP
    found = next((kind for name, kind in IN_ZIP.items() if name in names), None)
    if found:
        return found
    files = [name for name in names if not name.endswith("/")]
    shown = [
        "".join(c if c.isprintable() else "_" for c in name[:LONGEST_NAME])
        for name in files[:SHOWN_NAMES]
    ]
    more = f" and {len(files) - len(shown):,} more" if len(files) > len(shown) else ""
    return Kind(f"a ZIP archive ({', '.join(shown)}{more})", _UNPACK)


def _of_text(name: str, start: bytes) -> Kind:
    """Return what a file is that begins with nothing that is known: a text, mostly."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return UTF_32
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start[: len(start) & ~1].decode("utf-16", errors="replace").encode()
    elif zeros := start[:LOOK].count(0):
        looked = start[:LOOK]
        most = max(looked[0::2].count(0), looked[1::2].count(0))
        if most > len(looked) / 3 and most > 0.9 * zeros:
            return UNMARKED
        if zeros * NUL_SHARE > len(looked):
            return ZERO
    bare = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if bare.startswith((b"<?xml", b"<Error>", b"<Workbook")):
        return _of_xml(name, bare)
    if HTML.match(bare) or bare.startswith(b"<!--"):
        return TABLE_PAGE if name.endswith((".xls", ".xlsx")) else PAGE
    if A_JSON.match(bare):
        return JSON
    return MAIL if A_MAIL.match(bare) else PLAIN


def _of_xml(name: str, start: bytes) -> Kind:
    """Return what an XML document is."""
    head = start[:LOOK]
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head or b"<Workbook" in head:
        return EXCEL_XML
    if b"<Error>" in head and b"<Code>" in head:
        return ERROR_XML
    if b"<html" in head.lower():
        return TABLE_PAGE if name.endswith((".xls", ".xlsx")) else PAGE
    return XML


def check_kind(name: str, kind: Kind) -> None:
    """Raise WrongFormat where the file is not what its name says, or nothing that is taken.

    `name` may have any case. A name that says nothing may be of all that Quantemplate takes.
    """
    ending = next((each for each in (*TAKEN, *ENDINGS) if name.lower().endswith(each)), "")
    taken = TAKEN.get(ending)
    if kind is taken or (not ending and kind in TAKEN.values()):
        return
    kind = ENDINGS.get(ending, kind)
    says = f"Its name ends with {ending}, and it is" if taken else "It is"
    raise WrongFormat(f"The file cannot be taken. {says} {kind.said}. {kind.todo} {NOTHING}")


def check_unzipped(name: str, start: bytes) -> None:
    """Raise WrongFormat where what was gzipped is no text."""
    kind = kind_of_start(name.lower().removesuffix(".gz"), start)
    if kind == PLAIN:
        return
    if kind == GZIPPED:
        kind = Kind("gzip once more: it was zipped twice", "Unzip it once, and drop that.")
    raise WrongFormat(
        f"The file cannot be taken. Unzipped, it is {kind.said}. {kind.todo} {NOTHING}"
    )


def is_text(key: str) -> bool:
    """Whether a file's name says that it is text, which has rows."""
    return key.lower().endswith(TEXT)
