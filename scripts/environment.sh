# shellcheck shell=bash
# Shared by demo, test, check and bench: finds a Python, creates .venv, installs a requirements file.
# Sourced, not run; the caller has set -euo pipefail.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="$repository/.venv"
python="$environment/bin/python"

# Ignore the caller's Python settings, so that exactly the pinned versions are installed.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUTF8=1
unset PYTHONPATH PYTHONHOME

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $1"
  say "hint: $2"
  exit 1
}

# Whether a command is a working Python 3.11 to 3.14 (the shim of a version manager may not work).
runs() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

# Whether it can create a virtual environment (Debian and Ubuntu ship Python without ensurepip).
creates_environments() {
  "$1" -c 'import venv, ensurepip' >/dev/null 2>&1
}

# Runs a command as root, with sudo if needed.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the first suitable Python.
find_python() {
  local candidate incomplete=""
  for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
    if runs "$candidate"; then
      if creates_environments "$candidate"; then
        echo "$candidate"
        return
      fi
      incomplete="${incomplete:-$candidate}"
    fi
  done
  if [ -n "$incomplete" ]; then
    local version
    version="$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    fail "$incomplete cannot create a virtual environment: venv or ensurepip is missing." \
      "$(install_hint "python$version-venv" "Install Python $version with its venv and ensurepip modules.")"
  fi
  fail "No working Python 3.11, 3.12, 3.13 or 3.14 was found." \
    "$(install_hint "python3 python3-venv" "Install one of them, for example from python.org or with brew install python@3.13.")"
}

# Prints a hint: the command that installs some Debian packages, or another text without apt.
install_hint() {
  if command -v apt-get >/dev/null; then
    local sudo="sudo "
    [ "$(id -u)" -eq 0 ] && sudo=""
    echo "Run ${sudo}apt install $1, then run this again."
  else
    echo "$2 Then run this again."
  fi
}

# Creates .venv if it is missing or broken, and installs a requirements file into it once: a stamp records what
# was installed, so that the next run starts immediately.
ensure_environment() {
  local requirements="$1" candidate stamp expected
  if ! [ -x "$python" ] || ! runs "$python"; then
    candidate="$(find_python)"
    say "Creating .venv with $("$candidate" --version)"
    "$candidate" -m venv --clear "$environment"
  fi
  stamp="$environment/installed-$(basename "$requirements")"
  expected="$(fingerprint)"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$expected" ]; then
    return
  fi
  check_space
  install_requirements "$requirements"
  printf '%s\n' "$expected" >"$stamp"
}

# Prints a hash that changes with the pinned versions, pyproject.toml, the interpreter and the folder.
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

# Prints the size of torch before it is downloaded, and stops if the disk is too full.
check_space() {
  if "$python" -c 'import importlib.metadata as m; m.version("torch")' >/dev/null 2>&1; then
    return # already installed
  fi
  local free_megabytes needed=2000
  free_megabytes="$(($(df -Pk "$repository" | awk 'NR == 2 {print $4}') / 1024))"
  if [ "$(uname -s)" = Linux ]; then
    say "Next: torch. The default build for Linux, with CUDA, downloads about 3 GB and needs 8 GB of disk space;"
    say "the CPU build downloads about 0.2 GB and needs 1 GB. Without an NVIDIA GPU, press Ctrl-C and run this"
    say "again with the index URL of the CPU build, which the installation page of pytorch.org gives:"
    say "    PIP_EXTRA_INDEX_URL=URL $0"
  else
    say "Next: torch. It downloads about 0.1 GB and needs 0.5 GB of disk space."
  fi
  if [ "$free_megabytes" -lt "$needed" ]; then
    fail "Only $free_megabytes MB are free in $repository; at least $needed MB are needed." "Free some disk space."
  elif [ "$free_megabytes" -lt 10000 ] && [ "$(uname -s)" = Linux ]; then
    say "Note: $free_megabytes MB are free, which is only enough for the CPU build."
  fi
}

# Writes pip's output to a log and shows its progress.
install_requirements() {
  local requirements="$1" log="$environment/install.log" bar=off
  case "$("$python" -m pip install --help)" in *"raw]"*) bar=raw ;; esac
  say "Installing $(basename "$requirements") into .venv (log: $log)"
  if ! (cd "$repository" && "$python" -m pip install --progress-bar "$bar" --no-input -r "$requirements" 2>&1) |
    tee "$log" | show_progress >&2; then
    say ""
    tail -n 15 "$log" >&2
    fail "pip could not install $(basename "$requirements")." "See the lines above, or the whole log: $log"
  fi
}

# Shows pip's steps: on a terminal one line that changes, else one line for each download.
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
      # Without a terminal, print only large downloads.
      if (terminal || ($4 ~ /MB/ && substr($3, 2) + 0 >= 5) || $4 ~ /GB/) show("  downloading " current " " size)
    }
    /^Progress [0-9]+ of [0-9]+/ && terminal && $4 > 0 { show("  downloading " current " " size " " int(100 * $2 / $4) " %") }
    /^Installing collected packages/ { count = gsub(/,/, ","); show("  installing " count + 1 " packages (this takes a while)") }
    /^Successfully installed/ { if (terminal) printf "\r\033[K"; print "  installed " NF - 2 " packages" }
  '
}

# Installs the system packages that the tests need and that are missing, with apt.
install_system_packages() {
  local packages=()
  find_browser >/dev/null || packages+=(chromium)
  command -v fc-list >/dev/null || packages+=(fontconfig)
  has_font ':lang=zh' || packages+=(fonts-noto-cjk)
  has_font ':lang=ar' || packages+=(fonts-dejavu-core)
  has_font 'Noto Color Emoji' || packages+=(fonts-noto-color-emoji)
  (find_python >/dev/null 2>&1) || packages+=(python3 python3-venv)
  if [ "${#packages[@]}" -eq 0 ]; then return; fi
  command -v apt-get >/dev/null ||
    fail "--system needs apt-get, which is not available." "Install these packages another way: ${packages[*]}"
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
