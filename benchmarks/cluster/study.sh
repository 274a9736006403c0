# A small search for the scripts beside this file, and waiting for what it does. Source it; `out` is the folder.

wait_for() { # what, seconds, command: until the command succeeds
    local what=$1 seconds=$2 began=$SECONDS
    shift 2
    until "$@"; do
        ((SECONDS - began < seconds)) || { echo "NOT within $seconds s: $what"; exit 1; }
        sleep 1
    done
    echo "$what: $((SECONDS - began)) s"
}
has_results() { (($(cat "$out/$1/ledger.jsonl" 2>/dev/null | grep -c '"state": "report"') >= $2)); }

make_search() { # folder: recordings of the virtual amp, and a search of six short trials
    python -c "import sys; from pathlib import Path; from models.capture.virtual_amp import render_takes
render_takes(Path(sys.argv[1]))" "$1/takes"
    cat >"$1/search.json" <<JSON
{"name": "cluster", "datasets": [{"name": "virtual-amp", "train": "takes/train.json", "held": "takes/held.json",
  "validation_settings": 4, "validation_seconds": 2.0}],
 "space": {"shapes": [], "depth": [7], "dilations": ["pow2"], "channels": [4, 6], "inject": ["mixin", "film"]},
 "learning": {"steps": 200, "report_every": 50}, "trials": 6, "final": null}
JSON
}
