"""API keys are shown once, kept as hashes, and hold for as long as the file says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from fromage_model.errors import InvalidInput
from services.http.access.keys import KeyBook, StoredKey, digest_of, new_key, read_keys
from services.keys import add, held, main, revoke


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_the_file_holds_no_key_and_is_its_owners_alone(file):
    key = add(file, "shop")
    assert key not in file.read_text()
    assert digest_of(key) in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_key_that_is_added_holds_at_once_and_one_that_is_revoked_no_longer(file):
    shop = add(file, "shop")
    book = KeyBook(file=file)
    other = add(file, "other", admin=True)
    found = book.find(other)
    assert found is not None
    assert (found.name, found.scopes) == ("other", {"chat", "admin"})
    revoke(file, "other")
    assert book.find(other) is None
    assert book.find(shop) is not None


@pytest.mark.parametrize("damage", ["gone", "a line is no key", "not text"])
def test_no_key_holds_by_a_file_that_is_gone_or_damaged(damage, file):
    key = add(file, "shop")
    book = KeyBook(file=file)
    assert book.find(key)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + (b"\xff" if damage == "not text" else b"one line more\n"))
    assert book.find(key) is None


def test_keys_of_a_variable_hold_beside_those_of_the_file(file):
    key = new_key()
    line = StoredKey("ci", digest_of(key), frozenset({"admin"})).line()
    book = KeyBook(given=f"{line},{line.replace('ci:', 'cd:')}", file=file)
    assert book.find(key) is not None
    assert [stored.name for stored in book.all()] == ["ci", "cd"]
    add(file, "shop")
    assert len(book.all()) == 3


@pytest.mark.parametrize("given", ["", "x", "fk-", "x" * 100_000, "\ud800", "ключ"])
def test_what_is_no_key_is_not_found(given, file):
    add(file, "shop")
    assert KeyBook(file=file).find(given) is None


@pytest.mark.parametrize("line", ["fk-pasted-by-mistake", "shop:abc:chat", "shop:" + "0" * 64 + ":root", ":::"])
def test_a_line_that_is_no_key_is_refused_by_number_and_not_repeated(line):
    with pytest.raises(InvalidInput, match=r"a\.txt, line 2: expected NAME:SHA256:SCOPES") as refused:
        read_keys(f"# ours\n{line}\n", where="a.txt")
    assert "pasted" not in str(refused.value)


def test_a_name_is_taken_once(file):
    add(file, "shop")
    with pytest.raises(InvalidInput, match="there is a key 'shop' already"):
        add(file, "shop")
    with pytest.raises(InvalidInput, match="no name for a key"):
        add(file, "a:b")


def test_the_command_prints_a_new_key_alone_and_says_what_it_can_not_do(file, capsys):
    assert main(["add", "ops", "--only-admin", "--file", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert [stored.digest for stored in held(file)] == [digest_of(key)]
    assert main(["list", "--file", str(file)]) == 0
    assert capsys.readouterr().out.split("\t")[:2] == ["ops", "admin"]
    assert main(["revoke", "nobody", "--file", str(file)]) == 2
    assert "there is no key 'nobody'" in capsys.readouterr().err
    assert main(["revoke", "ops", "--file", str(file)]) == 0
    assert held(file) == []


def test_the_command_tells_how_it_is_used():
    command = [sys.executable, "-m", "services.keys", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "revoke" in told
