#!/usr/bin/env bash
# Proves the two commands of the README on a machine that has nothing: a minimal Debian 12 in a directory, with the Rust
# toolchain of this machine copied in and only what rustup itself asks for (a linker, certificates, curl).
#
#   sudo xtask/fresh-machine.sh DIRECTORY [run|test]...      (both, unless said; needs debootstrap, git and 20 GB)
#
# DIRECTORY/base is made once and kept; DIRECTORY/machine is new in every run. All mounts are made in a mount namespace
# of this script's own, so they end with it, and nothing outside ever sees them.
set -euo pipefail

if [ "${TIDEWIRE_FRESH:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "fresh-machine: mounting and chroot need root" >&2; exit 1; }
  exec env TIDEWIRE_FRESH=inside unshare --mount --propagation private "$0" "$@"
fi

[ $# -ge 1 ] || { echo "usage: fresh-machine.sh DIRECTORY [run|test]..." >&2; exit 2; }
mkdir -p "$1"
place=$(realpath "$1")
shift
commands=("${@:-run}")
[ $# -gt 0 ] || commands=(run test)
repository=$(git -C "$(dirname "$(realpath "$0")")" rev-parse --show-toplevel)
toolchain=$(cd "$repository" && rustc --print sysroot)
machine=$place/machine
transcript=$place/transcript.txt
user_home=/opt/newcomer

say() { printf '== %s\n' "$*" | tee -a "$transcript"; }
# An array, not a function: a command started by it in the background has its own process id, not that of a shell around it.
inside=(chroot "$machine" /usr/bin/env -i "HOME=$user_home" TERM=dumb LANG=C.UTF-8 PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin)
: >"$transcript"

if [ ! -e "$place/base/etc/debian_version" ]; then
  say "debootstrap --variant=minbase bookworm"
  debootstrap --variant=minbase bookworm "$place/base" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$place/debootstrap.log"
fi

if grep -q " $machine" /proc/self/mountinfo; then
  echo "fresh-machine: something is mounted under $machine; unmount it first" >&2
  exit 1
fi
rm -rf --one-file-system "$machine"
cp -a "$place/base" "$machine"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
mkdir -p "$machine/opt/rust" "$machine$user_home"
tar -C "$toolchain" --exclude=./share/doc -cf - . | tar -C "$machine/opt/rust" -xf -
git clone --quiet --no-hardlinks "$repository" "$machine$user_home/tidewire"
mount -t proc proc "$machine/proc"
mount --rbind /sys "$machine/sys"
mount --rbind /dev "$machine/dev"

say "what rustup asks for: gcc libc6-dev ca-certificates curl"
"${inside[@]}" apt-get update -qq
"${inside[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev ca-certificates curl >"$place/rustup-needs.log" 2>&1
# An authority that this machine was told to trust, that one needs too.
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
  cp /usr/local/share/ca-certificates/*.crt "$machine/usr/local/share/ca-certificates/"
  "${inside[@]}" update-ca-certificates >>"$place/rustup-needs.log" 2>&1
fi
say "$("${inside[@]}" cargo --version), $("${inside[@]}" gcc --version | head -n 1), Debian $(cat "$machine/etc/debian_version")"

# Starts the server by the README's command, waits for its page, asks for it, and ends it by SIGTERM.
prove_run() {
  local log=$place/run.log waited=0 page=
  say "\$ cargo xtask run"
  "${inside[@]}" sh -c "cd $user_home/tidewire && exec cargo xtask run" >"$log" 2>&1 &
  local pid=$!
  while [ -z "$page" ] && kill -0 $pid 2>/dev/null && [ $waited -lt 2400 ]; do
    sleep 1
    waited=$((waited + 1))
    page=$(grep -aoE 'https?://(127\.0\.0\.1|localhost)[^ ]*' "$log" | head -n 1 || true)
  done
  grep -avE '^ *(Compiling|Downloading|Downloaded|Updating|Adding|Locking|Get:|Selecting|Preparing|Unpacking|Setting up|Processing|\(Reading)' "$log" | head -n 60 | tee -a "$transcript"
  [ -n "$page" ] || { say "FAILED: no page address after $waited s"; kill $pid 2>/dev/null || true; return 1; }
  say "\$ curl $page     (after $waited s)"
  "${inside[@]}" curl -fsS --insecure "$page" | grep -ai '<title>' | tee -a "$transcript"
  # Give the server one second to end its connections.
  kill -TERM $pid
  wait $pid && say "ended well by SIGTERM" || say "ended by SIGTERM with status $?"
}

prove_test() {
  local log=$place/test.log status=0
  say "\$ cargo xtask test"
  "${inside[@]}" sh -c "cd $user_home/tidewire && cargo xtask test" >"$log" 2>&1 </dev/null || status=$?
  grep -aE '^\[[0-9]+/|^This machine lacks|^  [a-z0-9.+-]+ {2,}|^Installing|FAILED|skipped|^All stages|passed, ' "$log" | tee -a "$transcript"
  say "exit code $status"
  return $status
}

result=0
for command in "${commands[@]}"; do
  "prove_$command" || result=1
done
say "transcript: $transcript; the whole output beside it"
exit $result
