#!/bin/sh
# Put the package together: units, documents, control data. Called by build.sh when the environment is made.
set -eu
work=$1
output=$2
root=$work/root
here=$work/source/deploy/debian
units=$work/source/deploy/systemd
share=$root/usr/share
doc=$share/doc/connector-health

put() { # FILE DIRECTORY [NAME]
  mkdir -p "$2"
  install -m 644 "$1" "$2/${3:-${1##*/}}"
}

# Debian's documents are compressed; -n leaves name and time out.
put_compressed() { # FILE DIRECTORY NAME
  mkdir -p "$2"
  gzip -9nc "$1" > "$2/$3.gz"
}

mkdir -p "$root/usr/bin" "$root/usr/sbin"
ln -s /opt/connector-health/bin/healthctl "$root/usr/bin/healthctl"
ln -s /opt/connector-health/bin/connector-health-netns "$root/usr/sbin/connector-health-netns"

# The units of deploy/systemd, and nothing but them: what is tested there is what is installed here.
for unit in "$units"/*.service "$units"/*.socket "$units"/*.path "$units"/*.timer; do
  [ ! -e "$unit" ] || put "$unit" "$root/usr/lib/systemd/system"
done
put "$units/connector-health.sysusers" "$root/usr/lib/sysusers.d" connector-health.conf
put "$units/connector-health.tmpfiles" "$root/usr/lib/tmpfiles.d" connector-health.conf

put "$units/README.md" "$doc" README.systemd.md
for file in "$units"/examples/*; do put "$file" "$doc/examples"; done
mkdir -p "$root/etc/connector-health"
put "$here/config.yaml" "$doc/examples"
cp -R "$work/source/deploy/prometheus" "$work/source/deploy/alertmanager" "$doc/examples/"
for file in "$work"/source/deploy/grafana/*.json; do put "$file" "$doc/examples/grafana"; done
# Runbooks belong on the host, too: at three in the morning it may be the Internet that is gone.
cp -R "$work/source/docs" "$doc/docs"
put "$here/README.Debian" "$doc"
put_compressed "$work/source/CHANGELOG.md" "$doc" changelog
cat > "$work/changelog" <<CHANGELOG
connector-health ($DEB_VERSION) unstable; urgency=medium

  * Connector Health $VERSION, built for this release; what is new is in
    changelog.gz.

 -- $DEBFULLNAME <$DEBEMAIL>  $(date -uR -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
put_compressed "$work/changelog" "$doc" changelog.Debian
put "$here/lintian-overrides" "$share/lintian/overrides" connector-health
for page in "$share"/man/man*/*; do gzip -9n "$page"; done

# What the compiled modules need of this release: its very Python, its libraries. dpkg-shlibdeps wants a source package.
mkdir -p "$work/libraries/debian"
printf 'Source: connector-health\n\nPackage: connector-health\nArchitecture: any\n' > "$work/libraries/debian/control"
modules=$(find "$root/opt" -name '*.so*' -type f)
libraries=$(cd "$work/libraries" && dpkg-shlibdeps -O --warnings=0 $modules 2> notes) || {
  cat "$work/libraries/notes" >&2 # otherwise only that these modules lie in no package yet
  exit 1
}
libraries=${libraries#shlibs:Depends=}
python=$(/usr/bin/python3 -c 'import sys; a, b = sys.version_info[:2]; print(f"python3 (>= {a}.{b}~), python3 (<< {a}.{b + 1})")')

mkdir -p "$root/DEBIAN"
for script in preinst postinst prerm postrm; do install -m 755 "$here/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
architecture=$(dpkg --print-architecture)
# As dpkg-gencontrol counts: whole KiB for each file, one for anything else; what the build's file system takes varies.
size=$(find "$root" ! -path "$root/DEBIAN*" -printf '%y %s\n' | awk '{ n += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print n }')
sed -e "s|@VERSION@|$DEB_VERSION|; s|@ARCHITECTURE@|$architecture|; s|@SIZE@|$size|; s|@PYTHON@|$python|" \
  -e "s|@LIBRARIES@|$libraries|; s|@MAINTAINER@|$DEBFULLNAME <$DEBEMAIL>|" "$here/control" > "$root/DEBIAN/control"
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"

find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$output/connector-health_${DEB_VERSION}_$architecture.deb
# xz, which every dpkg reads: Ubuntu's own default is not known to Debian 11's tools.
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" > /dev/null
echo "$package"
