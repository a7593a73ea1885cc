# shellcheck shell=bash
# Shared by the scripts beside it; sourced, not run.

WEIR_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
export WEIR_ROOT
WEIR_PRESETS="dev release chaos asan-ubsan tsan fuzz coverage"
WEIR_ENVIRONMENT=3 # exit code: this machine cannot do it, and the message says why

weir_die() { # CODE MESSAGE...
    local code=$1
    shift
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit "$code"
}

# The comment block at the top of the calling script is its help text.
weir_help() {
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
}

# ccache needs a folder of its own; without a usable home the build goes on without it.
if [[ -z ${CCACHE_DIR-} && ! -w ${HOME:-/nonexistent} ]]; then
    export CCACHE_DISABLE=1
fi

weir_is_preset() {
    [[ " $WEIR_PRESETS " == *" $1 "* ]]
}

# Configure (when needed) and build the targets of a preset. Quiet: one line when there is work to do, and the log
# only when it fails.
weir_build() { # PRESET TARGET...
    local preset=$1 directory="$WEIR_ROOT/build/$1" log="$WEIR_ROOT/build/$1.log" fresh=()
    shift
    mkdir -p "$WEIR_ROOT/build" || return "$WEIR_ENVIRONMENT"
    (
        exec 9>"$directory.lock"
        if ! flock -n 9; then
            echo "Waiting for another build of the $preset preset." >&2
            flock 9
        fi
        cd "$WEIR_ROOT" || exit 1
        # A tree that was moved or copied keeps the old path in its cache.
        if [[ -f $directory/CMakeCache.txt ]] &&
            ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$WEIR_ROOT" "$directory/CMakeCache.txt"; then
            fresh=(--fresh)
        fi
        if [[ CMakePresets.json -nt $directory/build.ninja || ${#fresh[@]} -gt 0 ]]; then
            echo "Building the $preset preset; the first time takes a minute or two." >&2
            cmake --preset "$preset" "${fresh[@]}" >"$log" 2>&1 9>&- || exit 1
        fi
        cmake --build "$directory" --target "$@" >"$log" 2>&1 9>&- || exit 1
    ) || {
        grep -v '^\[[0-9]*/[0-9]*\] ' "$log" | tail -n 60 >&2
        printf '%s: building the %s preset failed; the whole log is in build/%s.log\n' \
            "${0##*/}" "$preset" "$preset" >&2
        return 1
    }
}
