"""Recomputes a project's days from their published files alone, as docs/day-files.md describes them.

It shares no code with the system, and is written from that page: where the two differ, one of them is wrong.

    recompute.py FOLDER     a project's folder of bundles: FOLDER/YYYY-MM-DD/bundle.json and the tables

Prints a line for each day; ends with 1 and names the file or field on the first difference.
"""

import csv
import json
import sys
from pathlib import Path

from Crypto.Hash import keccak

ZERO = "0x" + 20 * "00"
COMMIT = b"RewardCommit(uint64 epoch,uint32 revision,bytes32 previous,bytes32 root,uint256 total,bytes32 dataHash)"


def hashed(data):
    return keccak.new(digest_bits=256, data=data).digest()


def text(data):
    return "0x" + data.hex()


def word(value):
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    return bytes.fromhex(value.removeprefix("0x")).rjust(32, b"\0")


def require(day, what, given, computed):
    if given != computed:
        sys.exit(f"{day} {what}: given {given}, computed {computed}")


def table(folder, name):
    with open(folder / name, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def minutes(bits):
    data = bytes.fromhex(bits.removeprefix("0x"))
    return {minute for minute in range(1440) if data[minute // 8] >> minute % 8 & 1}


def uptime_points(row, rule, excused):
    """The part for uptime, or None below the minimum."""
    seen = minutes(row["bitmap"])
    due = set(range(1440 - int(row["expected"]), 1440)) - excused
    ratio = len(seen & due) * 1_000_000 // len(due) if due else 1_000_000
    if ratio < rule["minimum_uptime_ppm"]:
        return None
    return int(row["minutes"]) * int(rule.get("rate", 0)) // 1440


def check_points(day, row, given, rule, excused):
    uptime = uptime_points(row, rule, excused)
    above = given - (uptime or 0)
    tasks = above // int(rule.get("per_task", 1))
    most = rule.get("max_tasks", 0) if uptime is not None else 0
    good = above >= 0 and above % int(rule.get("per_task", 1)) == 0 and tasks <= most
    require(day, f"points of license {row['license']} are the rule's", good, True)


def root_of(rewards):
    """OpenZeppelin's StandardMerkleTree of (address, uint256)."""
    leaves = sorted(hashed(hashed(word(account) + word(amount))) for account, amount in rewards.items())
    if not leaves:
        return bytes(32)
    nodes = [b""] * (len(leaves) - 1) + leaves[::-1]
    for i in reversed(range(len(leaves) - 1)):
        nodes[i] = hashed(b"".join(sorted(nodes[2 * i + 1 : 2 * i + 3])))
    return nodes[0]


def recompute(folder, before):
    """One day; `before` is the last one's commit, amounts and remainder."""
    day = folder.name
    data = (folder / "bundle.json").read_bytes()
    bundle = json.loads(data)
    require(day, "bundle.json is canonical", data, json.dumps(bundle, sort_keys=True, separators=(",", ":")).encode())
    for name, given in bundle["files"].items():
        require(day, name, given, text(hashed((folder / name).read_bytes())))
    terms, rule = bundle["terms"], bundle["terms"]["rule"]
    closed = bundle["uptime"]
    require(day, "uptime/uptime_csv", closed["uptime_csv"], bundle["files"]["uptime.csv"])
    leaf = [bundle["project"]["distributor"], closed["uptime_csv"], text(hashed(bytes.fromhex(closed["excused"][2:])))]
    node = hashed(hashed(b"".join(map(word, leaf))))
    for sibling in closed["path"]:
        node = hashed(b"".join(sorted([node, word(sibling)])))
    require(day, "uptime/closed/message/uptime_hash", closed["closed"]["message"]["uptime_hash"], text(node))
    if bundle["format"] == "nodesys-bundle-2":
        terms_json = json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()
        require(day, "terms_hash", bundle["terms_hash"], text(hashed(terms_json)))
    uptime, holders, points = (table(folder, name) for name in ("uptime.csv", "holders.csv", "points.csv"))
    uncounted = {row["license"] for row in table(folder, "uncounted.csv")} if "uncounted.csv" in bundle["files"] else set()

    excused = minutes(closed["excused"])
    shares = []
    for up, held, got in zip(uptime, holders, points, strict=True):
        require(day, "licenses", (up["license"], up["license"]), (held["license"], got["license"]))
        check_points(day, up, int(got["points"]), rule, excused)
        rented = terms["beneficiary"] == "renter" and held["renter"] != ZERO
        account = held["renter"] if rented else held["holder"]
        if up["license"] in uncounted:
            who = (held["holder"], held["renter"])
            require(day, f"license {up['license']}, which is not counted", who, (ZERO, ZERO))
        counts = account != ZERO and account not in terms["excluded"]
        shares.append((account, int(got["points"]) if counts else 0))

    commit, rewards, carry = before
    require(day, "previous", bundle["previous"], commit)
    require(day, "carry_in", int(bundle["carry_in"]), carry)
    available = int(terms["day_reward"]) + carry
    pool = min(available, int(bundle["daily_quota"]))
    total = sum(points for _, points in shares)
    rewards, allocated = dict(rewards), 0
    for account, points in shares:
        amount = pool * points // total if total else 0
        allocated += amount
        if amount:
            rewards[account] = rewards.get(account, 0) + amount
    carry = available - allocated
    require(day, "carry_out", int(bundle["carry_out"]), carry)
    given = {row["account"]: int(row["cumulative"]) for row in table(folder, "rewards.csv")}
    require(day, "rewards.csv", given, rewards)
    root = root_of(rewards)
    require(day, "root", bundle["root"], text(root))
    total = sum(rewards.values())
    require(day, "totals/cumulative", int(bundle["totals"]["cumulative"]), total)

    fields = [int(bundle["epoch"]), bundle["revision"], bundle["previous"], text(root), total, text(hashed(data))]
    commit = text(hashed(hashed(COMMIT) + b"".join(map(word, fields))))
    print(f"{day} {bundle['format']} root {text(root)} total {total} commit {commit}")
    return commit, rewards, carry


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # A day rebuilt after a revocation keeps its old folder as YYYY-MM-DD.rN.
    days = sorted(day for day in Path(sys.argv[1]).iterdir() if day.is_dir() and len(day.name) == 10)
    if not days:
        sys.exit(f"no days in {sys.argv[1]}")
    before = (text(bytes(32)), {}, 0)
    for day in days:
        before = recompute(day, before)


main()
