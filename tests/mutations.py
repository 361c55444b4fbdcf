"""Takes away one safeguard at a time and checks that the sweep and the storms notice.

`make mutations` runs it. It changes one file of the working tree at a time and puts it back; a file with
changes that are not committed is left alone.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ["cargo", "test", "--quiet", "--test", "all", "--", "storms::", "sweep::"]

# What is taken away, where, and how.
MUTATIONS = [
    (
        "a second VPC is not removed",
        "functions/src/steps/vpc/mod.rs",
        "        for surplus in compared.surplus {",
        "        for surplus in compared.surplus.iter().take(0) {",
    ),
    (
        "a second internet gateway is not removed",
        "functions/src/steps/public_routes/internet_gateway.rs",
        "    for surplus in &compared.surplus {",
        "    for surplus in compared.surplus.iter().take(0) {",
    ),
    (
        "a second address is not released",
        "functions/src/resources/address.rs",
        "        keep.is_some() && it.allocation_id() != keep && it.association_id().is_none()",
        "        keep.is_some() && it.allocation_id().is_none()",
    ),
    (
        "client tokens are other ones at each call",
        "functions/src/model/names.rs",
        "    let mut token = hash(place.into_iter().chain(parts));",
        "    static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);\n"
        "    let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();\n"
        "    let mut token = hash(place.into_iter().chain(parts));\n"
        "    token = hash([token.as_str(), call.as_str()]);",
    ),
    (
        "an unpropagated role is an unexpected answer",
        "functions/src/contract/error.rs",
        "    code == codes::INVALID_PARAMETER\n        && codes::IAM_PROPAGATION_MESSAGES",
        "    code.is_empty()\n        && codes::IAM_PROPAGATION_MESSAGES",
    ),
    (
        "steps do not remember what they created",
        "functions/src/contract/memory.rs",
        "        self.created.insert(role.to_owned(), id.to_owned());",
        "        let _ = (role, id);",
    ),
    (
        "nothing is looked at once more",
        "statemachine/provision.asl.json",
        '"$.natGateways.isNew", "BooleanEquals": true',
        '"$.natGateways.isNew", "BooleanEquals": false',
    ),
]


def is_noticed(path, old, new):
    """Whether the tests fail with `old` replaced by `new`."""
    file = ROOT / path
    text = file.read_text()
    if text.count(old) != 1:
        sys.exit(f"{path}: the place to change is not there, or there twice:\n{old}")
    if subprocess.run(["git", "diff", "--quiet", "--", path], cwd=ROOT, check=False).returncode:
        sys.exit(f"{path} has changes that are not committed")
    try:
        file.write_text(text.replace(old, new))
        build = subprocess.run(["cargo", "build", "--quiet", "--tests"], cwd=ROOT, check=False)
        if build.returncode:
            sys.exit(f"{path} does not compile with the change")
        tests = subprocess.run(TESTS, cwd=ROOT, check=False, capture_output=True)
        return tests.returncode != 0
    finally:
        file.write_text(text)


def main():
    missed = []
    for what, path, old, new in MUTATIONS:
        noticed = is_noticed(path, old, new)
        print(f"| {what} | {'noticed' if noticed else 'NOT NOTICED'} |", flush=True)
        if not noticed:
            missed.append(what)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
