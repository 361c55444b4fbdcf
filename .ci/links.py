"""Checks that what the pages link to is there: files, folders, and headings.

Addresses on the Internet are not asked: they may be down, and CI may have no way out.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]*(?:\([^()\s]*\))?)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
FENCE = re.compile(r"^\s*(```|~~~)")


def lines(text):
    """The lines of a page that are outside of its code blocks, with their numbers."""
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and fence in (None, mark[1]):
            fence = None if fence else mark[1]
        elif not fence:
            yield number, line


def anchors(text):
    """The headings of a page, as GitHub names them in addresses."""
    found = set()
    counts = {}
    for _, line in lines(text):
        heading = HEADING.match(line)
        if not heading:
            continue
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = counts.get(name, 0)
        counts[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    return found


def problem(page, link):
    """What is wrong with a link on a page, if anything."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT):
        return "leads out of the repository"
    if not target.exists():
        return "there is no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
        return "there is no such heading"
    return None


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    count, problems = 0, []
    for name in listed.stdout.splitlines():
        page = ROOT / name
        if not page.exists():
            continue
        for number, line in lines(page.read_text()):
            # A link in code is an example.
            for link in LINK.findall(re.sub(r"`[^`]*`(?!\])", "", line)):
                if re.match(r"[a-z]+:", link):
                    continue
                count += 1
                what = problem(page, link)
                if what:
                    problems.append(f"{name}:{number}: {link}: {what}")
    print("\n".join(problems) or f"{count} links lead somewhere")
    return 1 if problems or not count else 0


sys.exit(main())
