# shellcheck shell=bash
# What demo, test and check share: finding a Python, making .venv, installing what a requirements file pins.
# Sourced, never run. The caller has set -euo pipefail.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="$repository/.venv"
python="$environment/bin/python"

# Without a terminal's settings of the caller's own: what is installed is what the files say.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUTF8=1
unset PYTHONPATH PYTHONHOME

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $1"
  say "hint: $2"
  exit 1
}

# Whether a command is a Python 3.11 to 3.14 that starts (a version manager's shim may not).
runs() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

# Whether it can make a virtual environment (Debian and Ubuntu ship Python without ensurepip).
makes_environments() {
  "$1" -c 'import venv, ensurepip' >/dev/null 2>&1
}

# As root, or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the first Python that fits.
find_python() {
  local candidate incomplete=""
  for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
    if runs "$candidate"; then
      if makes_environments "$candidate"; then
        echo "$candidate"
        return
      fi
      incomplete="${incomplete:-$candidate}"
    fi
  done
  if [ -n "$incomplete" ]; then
    local version
    version="$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    fail "$incomplete cannot make a virtual environment: it lacks venv or ensurepip." \
      "$(install_words "python$version-venv" "Install Python $version with its venv and ensurepip modules.")"
  fi
  fail "There is no Python 3.11, 3.12, 3.13 or 3.14 here that runs." \
    "$(install_words "python3 python3-venv" "Install Python 3.11 or newer, for instance from python.org or with brew install python@3.13.")"
}

# The command that installs some Debian packages, or other words where there is no apt.
install_words() {
  if command -v apt-get >/dev/null; then
    local sudo="sudo "
    [ "$(id -u)" -eq 0 ] && sudo=""
    echo "Run ${sudo}apt install $1, then run this again."
  else
    echo "$2 Then run this again."
  fi
}

# Makes .venv if it is not there or does not run, and installs a requirements file into it, once:
# a stamp holds what was installed, so that the next run starts at once.
ensure_environment() {
  local requirements="$1" chosen stamp wanted
  if ! [ -x "$python" ] || ! runs "$python"; then
    chosen="$(find_python)"
    say "Making .venv with $("$chosen" --version)"
    "$chosen" -m venv --clear "$environment"
  fi
  stamp="$environment/installed-$(basename "$requirements")"
  wanted="$(fingerprint)"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  check_space
  install_requirements "$requirements"
  printf '%s\n' "$wanted" >"$stamp"
}

# Changes when a pin, the package's own description, the interpreter or the folder changes.
fingerprint() {
  "$python" - "$repository" <<'PYTHON'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
content = [sys.version, str(root)]
content += [(root / name).read_text(encoding="utf-8") for name in
            ("requirements.txt", "requirements-development.txt", "pyproject.toml")]
print(hashlib.sha256("\0".join(content).encode()).hexdigest())
PYTHON
}

# Says how large torch is before it is fetched, and stops when it cannot fit.
check_space() {
  if "$python" -c 'import importlib.metadata as m; m.version("torch")' >/dev/null 2>&1; then
    return # there already
  fi
  local free_megabytes needed=2000
  free_megabytes="$(($(df -Pk "$repository" | awk 'NR == 2 {print $4}') / 1024))"
  if [ "$(uname -s)" = Linux ]; then
    say "torch comes next. Its usual Linux build, with CUDA, is about 3 GB to fetch and 8 GB on disk;"
    say "the CPU build is about 0.2 GB to fetch and 1 GB on disk. Without an NVIDIA GPU, stop this (Ctrl-C)"
    say "and run it with the index address that the install page of pytorch.org gives for the CPU build:"
    say "    PIP_EXTRA_INDEX_URL=ADDRESS $0"
  else
    say "torch comes next: about 0.1 GB to fetch and 0.5 GB on disk."
  fi
  if [ "$free_megabytes" -lt "$needed" ]; then
    fail "Only $free_megabytes MB are free in $repository; at least $needed MB are needed." "Free some space."
  elif [ "$free_megabytes" -lt 10000 ] && [ "$(uname -s)" = Linux ]; then
    say "Note: $free_megabytes MB are free, which is enough for the CPU build only."
  fi
}

# pip's output goes to a log; what it fetches is shown.
install_requirements() {
  local requirements="$1" log="$environment/install.log" bar=off
  case "$("$python" -m pip install --help)" in *"raw]"*) bar=raw ;; esac
  say "Installing $(basename "$requirements") into .venv (log: $log)"
  if ! (cd "$repository" && "$python" -m pip install --progress-bar "$bar" --no-input -r "$requirements" 2>&1) |
    tee "$log" | show_progress >&2; then
    say ""
    tail -n 15 "$log" >&2
    fail "pip could not install $(basename "$requirements")." "Read the lines above, or all of $log."
  fi
}

# Shows pip's steps: on a terminal one line that changes, else one line for each package fetched.
show_progress() {
  local terminal=0
  [ -t 2 ] && terminal=1
  awk -v terminal="$terminal" '
    function show(text) {
      if (terminal) printf "\r\033[K%s", substr(text, 1, 78); else print text
      fflush()
    }
    /^ *Downloading / && !/\.metadata/ {
      current = $2; sub(/.*\//, "", current); size = $3 " " $4
      # Without a terminal only what takes long is worth a line.
      if (terminal || ($4 ~ /MB/ && substr($3, 2) + 0 >= 5) || $4 ~ /GB/) show("  fetching " current " " size)
    }
    /^Progress [0-9]+ of [0-9]+/ && terminal && $4 > 0 { show("  fetching " current " " size " " int(100 * $2 / $4) " %") }
    /^Installing collected packages/ { count = gsub(/,/, ","); show("  installing " count + 1 " packages (this takes a while)") }
    /^Successfully installed/ { if (terminal) printf "\r\033[K"; print "  installed " NF - 2 " packages" }
  '
}

# Installs what the tests need from the system, where apt is; only what is missing.
install_system_needs() {
  local packages=()
  find_browser >/dev/null || packages+=(chromium)
  command -v fc-list >/dev/null || packages+=(fontconfig)
  has_font ':lang=zh' || packages+=(fonts-noto-cjk)
  has_font ':lang=ar' || packages+=(fonts-dejavu-core)
  has_font 'Noto Color Emoji' || packages+=(fonts-noto-color-emoji)
  (find_python >/dev/null 2>&1) || packages+=(python3 python3-venv)
  if [ "${#packages[@]}" -eq 0 ]; then return; fi
  command -v apt-get >/dev/null ||
    fail "--system installs with apt-get, which is not here." "Install by other means: ${packages[*]}."
  say "Installing system packages: ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

has_font() {
  command -v fc-list >/dev/null && [ -n "$(fc-list "$1" family)" ]
}

# Prints the path of a Chromium.
find_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name"; then return; fi
  done
  return 1
}
