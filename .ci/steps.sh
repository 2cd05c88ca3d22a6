# Sourced by test and run: steps that are counted and all run, whatever fails.
# shellcheck shell=bash

set -o pipefail

passed=0
failed=0
skipped=0
failures=()
# Where the step before left its output.
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step MINUTES_MAX NAME COMMAND...: runs the command, shows its output, adds
# what its last lines count; a command that counts nothing is one test.
step() {
    local minutes_max=$1 name=$2
    shift 2
    local started=$SECONDS status=0
    printf '\n=== %s\n' "$name"
    timeout --kill-after=20 "${minutes_max}m" "$@" 2>&1 </dev/null | tee "$log" || status=$?
    if [ "$status" -ge 124 ]; then
        echo "$name was stopped after $minutes_max minutes"
    fi
    count "$name" "$status"
    printf -- '--- %s: %s after %d s\n' "$name" "$([ "$status" -eq 0 ] && echo ok || echo "FAILED ($status)")" \
        $((SECONDS - started))
}

# Adds what a command counted: the last line, when it is "N passed, N failed, N
# skipped" as our own scripts print it; else all counts of cargo test ("N passed;
# N failed; N ignored") and of node's test runner ("ℹ pass N").
count() {
    local name=$1 status=$2 counted
    counted=$(sed -E 's/\x1b\[[0-9;]*m//g' "$log" | awk '
        /^test result: .* passed; .* failed; .* ignored/ {
            for (i = 2; i <= NF; i++) {
                if ($i == "passed;") p += $(i - 1)
                if ($i == "failed;") f += $(i - 1)
                if ($i == "ignored;") s += $(i - 1)
            }
        }
        /^ℹ pass [0-9]+$/ { p += $3 }
        /^ℹ (fail|cancelled) [0-9]+$/ { f += $3 }
        /^ℹ (skipped|todo) [0-9]+$/ { s += $3 }
        NF > 0 { last = $0 }
        END {
            if (split(last, word, /,? /) >= 4 && last ~ /^[0-9]+ passed, [0-9]+ failed/) {
                p = word[1]; f = word[3]; s = word[5]
            }
            print p + 0, f + 0, s + 0
        }')
    local p f s
    read -r p f s <<<"$counted"
    if [ "$status" -ne 0 ]; then
        failures+=("$name")
        # Whatever it counted, something in it went wrong.
        [ "$f" -gt 0 ] || f=1
    elif [ $((p + f)) -eq 0 ]; then
        p=1
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
}

# Prints the totals, the failing steps first and the counts last.
summary() {
    local name
    printf '\n'
    for name in "${failures[@]}"; do
        printf 'FAILED: %s\n' "$name"
    done
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "${#failures[@]}" -eq 0 ]
}
