"""The rule as docs/clients.md has it passes the cases that come with it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PLAY = """
const wrong = [];
for (const { name, steps } of CASES) {
  const room = new Room();
  for (const step of steps) {
    let applied = [];
    if (step.do === "begin") {
      const since = room.begin();
      if (since?.seq !== step.since?.seq || since?.epoch !== step.since?.epoch) wrong.push([name, step, since]);
    }
    if (step.do === "receive") applied = room.receive(step.event);
    if (step.do === "joined") applied = room.joined(step.ack);
    if (step.do === "lost") room.lost();
    const seqs = applied.map(({ seq }) => seq);
    const due = step.needsJoin ?? false;
    if (String(seqs) !== String(step.applies ?? []) || room.needsJoin !== due) wrong.push([name, step, seqs]);
  }
}
console.log(JSON.stringify({ cases: CASES.length, wrong }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no `node` here")
def test_the_rule_in_javascript_passes_the_cases_for_clients():
    (code,) = re.findall(r"^```js\n(.*?)^```$", (DOCS / "clients.md").read_text(), re.M | re.S)
    cases = (DOCS / "client-rule.json").read_text()
    script = f"{code}\nconst CASES = {cases};\n{PLAY}"
    said = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(said) == {"cases": len(json.loads(cases)), "wrong": []}
