#!/bin/sh
# Make the environment under /opt/connector-health, and what only a finished one can say of itself: manual pages,
# completions, licences, SBOM. Called by build.sh where /opt is the package's own.
set -eu
work=$1
source=$work/source
home=/opt/connector-health
# Nothing of whoever builds may reach the package; -I further down keeps their environment out as well, these too: -B.
export PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME

# pip stays outside: nobody is meant to install anything into the package's environment.
/usr/bin/python3 -m venv --without-pip "$home"
/usr/bin/python3 -m venv "$work/tool"
pip() { "$work/tool/bin/pip" --python "$home/bin/python" "$@"; }

echo "packages by their hashes" >&2
pip install -q --require-hashes --no-cache-dir --no-compile -r "$source/requirements/run.txt" -r "$source/requirements/deb.txt"
# systemd-python has no wheel. Its paths and debugging symbols would differ with each build.
CFLAGS="-g0 -ffile-prefix-map=$work=." LDFLAGS="-Wl,--build-id=none" \
  pip install -q --require-hashes --no-cache-dir --no-compile --no-build-isolation --use-pep517 \
  -r "$source/requirements/systemd.txt"
pip wheel -q --no-deps --no-build-isolation --no-cache-dir -w "$work/wheels" "$source"
# From a directory of wheels rather than by path: pip would note that path in the package.
pip install -q --no-index --no-deps --no-compile --find-links "$work/wheels" "connector-health==$VERSION"

# What only the build needed goes: the fewer packages, the fewer to keep up to date.
unneeded=$("$home/bin/python" -IB "$source/deploy/debian/unneeded.py" connector-health systemd)
doc=$work/root/usr/share/doc/connector-health
mkdir -p "$doc"
PYTHONPATH=$source "$home/bin/python" -P "$source/deploy/debian/licences.py" "$source/deploy/debian/copyright" $unneeded \
  > "$doc/copyright"
pip uninstall -q -y $unneeded
"$home/bin/python" -IB -c 'import systemd.daemon, systemd.journal, aiohttp, bcrypt, docker'
cd "$home/bin"
for script in *; do
  case $script in python* | healthctl | connector-health-netns) ;; *) rm -f "$script" ;; esac
done
rm -rf "$home/include" "$home/share"
find "$home" -name '*.so*' -type f -exec strip --strip-unneeded --remove-section=.comment {} +

echo "what the environment says of itself" >&2
mkdir -p "$work/root/usr/share/man/man1" "$work/root/usr/share/man/man8"
"$home/bin/python" -IB -m daemon.cli.manual healthctl > "$work/root/usr/share/man/man1/healthctl.1"
"$home/bin/python" -IB -m daemon.cli.manual connector-health-netns \
  > "$work/root/usr/share/man/man8/connector-health-netns.8"
for place in bash:bash-completion/completions/healthctl zsh:zsh/vendor-completions/_healthctl \
  fish:fish/vendor_completions.d/healthctl.fish; do
  file=$work/root/usr/share/${place#*:}
  mkdir -p "${file%/*}"
  "$home/bin/healthctl" completion "${place%%:*}" > "$file"
done
sh "$source/deploy/sbom/make.sh" "$home/bin/python" "$doc/sbom.cdx.json"

# Compiled here, once: the daemon's user may not write there, and would compile at every start (a command then takes twice
# as long). Never compared with the sources, which do not change without the package, so that no time enters the package;
# without column tables, which only a traceback shows. Not -I: PYTHONHASHSEED has to count, or sets come in any order.
rm -rf "$work/tool"
find "$home" -name __pycache__ -prune -exec rm -rf {} +
/usr/bin/python3 -sP -X no_debug_ranges -m compileall -q --invalidation-mode unchecked-hash "$home/lib"
