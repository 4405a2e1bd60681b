#!/usr/bin/env bash
# Sets up the course in .venv, then opens it or tests it. Safe to run again: what is there already is left alone.
#
#   bash setup.sh                 set up, then open chapter 1 in JupyterLab
#   bash setup.sh test            set up, then run every test of the course
#   bash setup.sh --no-launch     set up only
#
# PYTHON=/path/to/python3.12 bash setup.sh    uses that Python. Arguments after `learn` go on to `circuits learn`.
set -u
cd "$(dirname "$0")" || exit 1

venv=.venv
venv_python=$venv/bin/python
log=$venv/setup.log
stamp=$venv/installed
retry="then run \`bash setup.sh\` again: it goes on where it stopped"

# Packages of the user's own, or options meant for other installations, must not leak into this one.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

main() {
    read_arguments "$@"
    choose_python
    if [ "$(installed)" = "$(wanted)" ]; then
        echo "The course is installed in $venv."
    else
        install
    fi
    case $action in
        none) echo "Next: \`bash setup.sh\` opens chapter 1; \`$venv/bin/circuits --help\` lists what else there is." ;;
        test)
            install_cluster_packages || echo "Those tests will be skipped."
            exec "$venv_python" -m utils.full_test ${passed_on[@]+"${passed_on[@]}"}
            ;;
        learn) exec "$venv_python" -m utils.cli learn ${passed_on[@]+"${passed_on[@]}"} ;;
    esac
}

read_arguments() {
    action=learn
    passed_on=()
    if [ $# -gt 0 ]; then
        case $1 in
            test) action="test"; shift ;;
            learn) shift ;;
            -h | --help) sed -n '2,8s/^# \{0,1\}//p' setup.sh; exit 0 ;;
            -*) ;;
            *) give_up "reading the arguments" "there is no \`$1\`" "say \`bash setup.sh\`, \`bash setup.sh test\` or \`bash setup.sh --no-launch\`" ;;
        esac
    fi
    while [ $# -gt 0 ]; do
        if [ "$1" = --no-launch ]; then action=none; else passed_on+=("$1"); fi
        shift
    done
}

# ── Which Python ──────────────────────────────────────────────────────────────────────────────────────────────────

usable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1; }
version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

choose_python() {
    local wish=${PYTHON:-} candidate version seen=""
    if [ -n "$wish" ]; then
        usable "$wish" && python=$wish && return
        version=$(version_of "$wish")
        give_up "looking for Python" "PYTHON=$wish is ${version:-not a Python that runs}, and the course needs 3.10 to 3.14" \
            "name another one, or leave PYTHON out"
    fi
    # An environment that works keeps its Python, so that a new one on the PATH does not mean a new installation.
    for candidate in "$venv_python" python3 python3.13 python3.12 python3.11 python3.10 python3.14 python; do
        usable "$candidate" && python=$candidate && return
        version=$(version_of "$candidate")
        [ -n "$version" ] && seen="$seen${seen:+, }$candidate is $version"
    done
    give_up "looking for Python" "the course needs Python 3.10 to 3.14, and ${seen:-there is none here}" \
        "install one (python.org/downloads, your package manager, or \`uv python install 3.12\`), or name it: PYTHON=/path/to/python3.12 bash setup.sh"
}

# ── What is installed, and what should be ─────────────────────────────────────────────────────────────────────────

installed() { if usable "$venv_python"; then cat "$stamp" 2>/dev/null; fi; }
wanted() {
    wanted_packages
    echo "course $(cksum <pyproject.toml)"
}
# The folder is part of it because an environment does not work after a move.
wanted_packages() { echo "packages $(cksum <requirements.txt) $(version_of "$python") $PWD"; }

install() {
    started=$SECONDS
    # A learner who updated the course on a train goes on where the pins have not changed.
    if [ "$(installed | head -n 1)" != "$(wanted_packages)" ]; then install_packages; fi
    step "installing the course itself" pip_install --no-deps --no-build-isolation -e .
    step "trying it" "$venv_python" -c 'import torch, transformers, jupyterlab, utils.cli'
    quieten_jupyter
    wanted >"$stamp"
    echo "Installed in $((SECONDS - started)) s."
}

install_packages() {
    check_platform
    check_disk
    # Before an environment is thrown away, be sure that another can be had.
    if usable "$venv_python"; then reach_packages; make_environment; else make_environment; reach_packages; fi
    install_torch
    step "installing the other packages (about 170; a minute or two)" pip_install -r requirements.txt
}

# What grading on a cluster needs, for its tests; without a network they are skipped.
install_cluster_packages() {
    local pins=requirements-cluster.txt
    [ "$(cat "$venv/cluster" 2>/dev/null)" = "$(cksum <$pins)" ] && return
    attempt "installing Dask, for the tests of grading on a cluster" pip_install --retries 1 --timeout 20 -c requirements.txt -r $pins &&
        cksum <$pins >"$venv/cluster"
}

check_platform() {
    if [ "$(uname -s)" = Darwin ] && [ "$(uname -m)" != arm64 ]; then
        give_up "looking at this computer" "PyTorch has no builds for Macs with Intel processors any more" \
            "use Linux, Windows with WSL, a Mac with Apple silicon, or a notebook server"
    fi
}

check_disk() {
    local need=3 free
    if has_gpu; then need=9; fi # PyTorch for NVIDIA cards brings several gigabytes of CUDA
    [ -d "$venv" ] && usable "$venv_python" && [ -f "$stamp" ] && need=1
    free=$(df -Pk . 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ -n "$free" ] && [ "$free" -lt "$need" ]; then
        give_up "looking at the disk" "$free GB are free here, and the installation needs about $need GB" \
            "make room or clone the course on a larger disk, $retry"
    fi
}

make_environment() {
    # Made anew when it is broken, was moved here from elsewhere, or belongs to another Python than the one asked for.
    if usable "$venv_python" && [ "$(version_of "$venv_python")" = "$(version_of "$python")" ] && ! moved; then
        : >>"$log"
        return
    fi
    if [ "$python" = "$venv_python" ]; then
        python=$("$venv_python" -c 'import os, sys; print(getattr(sys, "_base_executable", None) or os.path.realpath(sys.executable))')
    fi
    rm -rf "$venv"
    if ! { mkdir -p "$venv" && : >"$log"; } 2>/dev/null; then
        give_up "making $venv" "this folder cannot be written" "clone the course into a folder of your own"
    fi
    step "making the environment $venv with Python $(version_of "$python")" "$python" -m venv "$venv"
}

moved() { [ -f "$stamp" ] && ! grep -q " $PWD\$" "$stamp"; }

# ── Packages ──────────────────────────────────────────────────────────────────────────────────────────────────────

pip_install() { "$venv_python" -m pip install --progress-bar off "$@"; }

reach_packages() {
    local folder=$venv/reach small
    small=$(grep -m 1 '^einops==' requirements.txt)
    # One small package says within seconds whether anything can be fetched, through whatever mirror or proxy pip uses.
    step "reaching the package index" "$venv_python" -m pip download --no-deps --retries 1 --timeout 15 --dest "$folder" "$small"
    rm -rf "$folder"
}

has_gpu() { [ "$(uname -s)" = Linux ] && command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; }

install_torch() {
    local version
    version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' requirements.txt)
    if "$venv_python" -c "import importlib.metadata as m; assert m.version('torch').split('+')[0] == '$version'" 2>/dev/null; then
        return
    fi
    # The standard build for Linux brings gigabytes of CUDA, which a computer without an NVIDIA card has no use for.
    if [ "$(uname -s)" = Linux ] && ! has_gpu; then
        attempt "installing PyTorch $version for the CPU, from pip's own sources" pip_install --no-deps "torch==$version+cpu" && return
        attempt "installing PyTorch $version for the CPU, from pytorch.org" \
            pip_install --no-deps --retries 1 --timeout 20 --index-url https://download.pytorch.org/whl/cpu "torch==$version+cpu" && return
    fi
    step "installing PyTorch $version (a large download)" pip_install -c requirements.txt "torch==$version"
}

# JupyterLab would ask for news and look for updates at every start; the course works without the network.
quieten_jupyter() {
    local settings=$venv/share/jupyter/lab/settings
    mkdir -p "$settings"
    echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' >"$settings/overrides.json"
}

# ── Steps and their failures ──────────────────────────────────────────────────────────────────────────────────────

attempt() { # what it is called, then the command; its output goes into the log
    try "not there" "$@"
}

try() {
    local no=$1
    shift
    local title=$1 before=$SECONDS
    shift
    [ -f "$log" ] || : >"$log"
    log_start=$(wc -l <"$log")
    printf '%s ... ' "$title"
    printf '\n== %s\n' "$title" >>"$log"
    if "$@" </dev/null >>"$log" 2>&1; then
        echo "$((SECONDS - before)) s"
    else
        echo "$no"
        return 1
    fi
}

step() {
    try "failed" "$@" || explain_failure "$1"
}

explain_failure() { # the first cause that this step's part of the log shows
    local said
    said=$(tail -n "+$((log_start + 1))" "$log")
    case $said in
        *"No space left on device"* | *"Disk quota exceeded"*)
            give_up "$1" "the disk is full" "make room, $retry" ;;
        *ensurepip* | *"No module named venv"*)
            give_up "$1" "this Python comes without venv" "on Debian or Ubuntu \`sudo apt install python3-venv\` (or python$(version_of "$python" | cut -d. -f1,2)-venv), $retry" ;;
        *"certificate verify failed"* | *CERTIFICATE_VERIFY_FAILED*)
            give_up "$1" "the network's certificate is not trusted, as behind some company proxies" "set PIP_CERT to your organisation's certificate file, $retry" ;;
        *"name resolution"* | *"Name or service not known"* | *"nodename nor servname"* | *NewConnectionError* | *"Failed to establish a new connection"* | *"Connection refused"* | *"Network is unreachable"* | *"timed out"* | *ConnectTimeout* | *ReadTimeout* | *ProxyError* | *"Connection reset"* | *IncompleteRead* | *ProtocolError*)
            if [ -n "$(installed)" ]; then
                give_up "$1" "the network is away, and the course needs other packages than those installed" \
                    "connect, $retry; or use what is installed: $venv/bin/circuits learn"
            fi
            give_up "$1" "the network is away, and the packages are not installed yet" "connect (or tell pip about your mirror or proxy), $retry" ;;
        *"No matching distribution found"* | *"Could not find a version"*)
            give_up "$1" "a package is not where pip looks, or has no build for this computer ($(uname -sm), Python $(version_of "$python"))" \
                "look for its name in $log, and try another Python: PYTHON=/path/to/python3.12 bash setup.sh" ;;
        *"Permission denied"*)
            give_up "$1" "permission was denied" "see $log for the file; the course belongs in a folder of your own" ;;
        *Killed* | *MemoryError*)
            give_up "$1" "the memory ran out" "close other programs, $retry" ;;
    esac
    give_up "$1" "$(printf '%s\n' "$said" | grep -v '^ *$' | tail -n 1 | cut -c 1-200)" "see $log, $retry"
}

give_up() { # the step, why, what to do
    echo "setup.sh: stopped at $1: $2. To do: $3." >&2
    exit 1
}

main "$@"
