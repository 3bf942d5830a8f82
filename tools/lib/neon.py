"""The cases of tools/neon-programs: Debian programs for armhf that choose Advanced SIMD code by what the machine says it has."""
from programs import Case

PACKAGES = ("busybox-static coreutils dash ffmpeg libjpeg-turbo-progs openssl x264 python3.11 python3-numpy python3-pytest python3-hypothesis grep sed diffutils "
            "libc-bin ncurses-base base-files").split()

# What update-alternatives would have linked.
LIBRARIES = "export LD_LIBRARY_PATH=$(echo /usr/lib/*-linux-gnu*/blas /usr/lib/*-linux-gnu*/lapack | tr ' ' :); "
# A picture and a video as programs without floating point make them, the same on every machine.
PICTURE = ("python3 -c \"import sys; w,h=640,480; d=bytes(((x*y>>3)^(x*7+y*3)^(x*x>>(c+5)))&255 for y in range(h) for x in range(w) for c in range(3)); "
           "sys.stdout.buffer.write(b'P6 %d %d 255\\n'%(w,h)+d)\" >p.ppm; ")
VIDEO = ("python3 -c \"import sys; w,h=352,288\nfor f in range(12): "
         "sys.stdout.buffer.write(bytes((((x+3*f)*(y+f)>>4)^(x>>2)+f)&255 for y in range(h) for x in range(w))+bytes((128+((x+f)&63)-32)&255 for x in range(w*h//2)))\" >v.yuv; ")
RAW = "-f rawvideo -pix_fmt yuv420p -s 352x288 -r 25 -i v.yuv"
FF = "ffmpeg -nostdin -hide_banner -loglevel error -threads 1"
BITEXACT = "-flags +bitexact -fflags +bitexact -sws_flags +bitexact+accurate_rnd"
# Signed 16-bit samples without a library's sine.
SOUND = ("python3 -c \"import sys,struct; a=1; o=[]\nfor i in range(88200):\n a=(a*1103515245+12345)&0x7fffffff; t=i*37%400-200; o.append(t*90+(a>>20)-1024)\n"
         "sys.stdout.buffer.write(struct.pack('<88200h',*o))\" >s.raw; ")
PCM = "-f s16le -ar 44100 -ac 2 -i s.raw"

FFMPEG = {
    "vp8": VIDEO + f"{FF} {RAW} -c:v libvpx -b:v 500k {BITEXACT} -f ivf o.ivf; {FF} -i o.ivf {BITEXACT} -f framemd5 - | grep -v '^#'",
    "scale": VIDEO + f"{FF} {RAW} -vf scale=500:210:flags=bicubic+bitexact+accurate_rnd -pix_fmt yuv420p {BITEXACT} -f framemd5 - | grep -v '^#'",
    "filters": VIDEO + f"{FF} {RAW} -vf hflip,boxblur=2,unsharp,yadif {BITEXACT} -f framemd5 - | grep -v '^#'",
    "flac": SOUND + f"{FF} {PCM} -c:a flac {BITEXACT} -f flac o.flac; md5sum o.flac; {FF} -i o.flac {BITEXACT} -f md5 -",
    "mp2": SOUND + f"{FF} {PCM} -c:a mp2 -b:a 192k {BITEXACT} -f mp2 o.mp2; md5sum o.mp2; {FF} -c:a mp2 -i o.mp2 {BITEXACT} -f md5 - | wc -c",
    "adpcm": SOUND + f"{FF} {PCM} -c:a adpcm_ima_wav {BITEXACT} -f wav o.wav; md5sum o.wav; {FF} -i o.wav {BITEXACT} -f md5 -",
    "opus": SOUND + f"{FF} -i s.raw 2>/dev/null; {FF} {PCM} -ar 48000 -c:a libopus -b:a 64k {BITEXACT} -f ogg o.ogg && test -s o.ogg && {FF} -i o.ogg -f s16le - | wc -c",
}
# Codecs and resamplers in floating point, whose sums x86-64 code makes in another order, and encoders whose transforms for
# Advanced SIMD round otherwise than those for x86-64: qemu-user says what they yield.
FFMPEG_ARM = {
    "mpeg4": VIDEO + f"{FF} {RAW} -c:v mpeg4 -qscale 5 {BITEXACT} -f avi o.avi; md5sum o.avi; {FF} -i o.avi {BITEXACT} -f framemd5 - | grep -v '^#'",
    "h264": VIDEO + f"{FF} {RAW} -c:v libx264 -x264-params threads=1:deterministic=1 {BITEXACT} -f h264 o.264; md5sum o.264; {FF} -i o.264 {BITEXACT} -f framemd5 - | grep -v '^#'",
    "mjpeg": VIDEO + f"{FF} {RAW} -c:v mjpeg -qscale 3 {BITEXACT} -f avi o.avi; md5sum o.avi; {FF} -i o.avi {BITEXACT} -f framemd5 - | grep -v '^#'",
    "aac": SOUND + f"{FF} {PCM} -c:a aac -b:a 96k {BITEXACT} -f adts o.aac; md5sum o.aac; {FF} -i o.aac {BITEXACT} -f md5 -",
    "resample": SOUND + f"{FF} {PCM} -ar 32000 -af aresample=resampler=swr {BITEXACT} -f md5 -; {FF} {PCM} -af volume=0.3,aecho -c:a pcm_f32le {BITEXACT} -f md5 -",
    "ac3": SOUND + f"{FF} {PCM} -c:a ac3 -b:a 192k {BITEXACT} -f ac3 o.ac3; md5sum o.ac3; {FF} -i o.ac3 {BITEXACT} -f md5 -",
}
JPEG = {
    "islow": PICTURE + "cjpeg -quality 85 -dct int -outfile o.jpg p.ppm; md5sum o.jpg; djpeg -dct int o.jpg | md5sum; djpeg -dct int -nosmooth o.jpg | md5sum",
    "ifast": PICTURE + "cjpeg -quality 75 -dct fast -outfile o.jpg p.ppm; md5sum o.jpg; djpeg -dct fast o.jpg | md5sum",
    "scaled": PICTURE + "cjpeg -quality 90 -sample 2x1 -outfile o.jpg p.ppm; for s in 1/2 1/4 3/8; do djpeg -scale $s o.jpg | md5sum; done; djpeg -grayscale o.jpg | md5sum",
    "progressive": PICTURE + "cjpeg -progressive -optimize -outfile o.jpg p.ppm; md5sum o.jpg; jpegtran -rotate 90 -trim o.jpg | md5sum; djpeg o.jpg | md5sum; djpeg -rgb565 -bmp o.jpg | md5sum",
}
X264 = {
    "lossless": VIDEO + "x264 --quiet --no-progress --threads 1 --qp 0 --frames 6 --input-res 352x288 --fps 25 -o o.264 v.yuv 2>/dev/null; md5sum o.264",
}
X264_ARM = {
    "default": VIDEO + "x264 --quiet --no-progress --threads 1 --input-res 352x288 --fps 25 -o o.264 v.yuv 2>/dev/null; md5sum o.264",
    "slow": VIDEO + "x264 --quiet --no-progress --threads 1 --preset slow --frames 6 --input-res 352x288 --fps 25 -o o.264 v.yuv 2>/dev/null; md5sum o.264",
}
OPENSSL = {
    "digests": "for d in md5 sha1 sha224 sha256 sha384 sha512 sha3-256 sha3-512 blake2b512 blake2s256 sm3; do openssl dgst -$d binary text; done; openssl dgst -sha256 -hmac key binary",
    "ciphers": "k=00112233445566778899aabbccddeeff; for c in aes-128-cbc aes-128-ctr aes-128-ecb aes-128-ofb aes-128-cfb; do openssl enc -$c -K $k -iv $k -in binary -out e; md5sum e; openssl enc -d -$c -K $k -iv $k -in e | cmp - binary && echo same; done; "
               "for c in aes-256-cbc aes-256-ctr chacha20 camellia-256-cbc; do openssl enc -$c -K $k$k -iv $k -in binary -out e; md5sum e; openssl enc -d -$c -K $k$k -iv $k -in e | cmp - binary && echo same; done",
    "keys": "openssl genpkey -algorithm x25519 -out a 2>/dev/null; openssl pkey -in a -pubout -out ap; openssl genpkey -algorithm x25519 -out b; openssl pkey -in b -pubout -out bp; openssl pkeyutl -derive -inkey a -peerkey bp -out s1; openssl pkeyutl -derive -inkey b -peerkey ap -out s2; cmp s1 s2 && echo agreed; "
            "openssl ecparam -name prime256v1 -genkey -noout -out e; openssl ec -in e -pubout -out ep 2>/dev/null; openssl dgst -sha256 -sign e -out s text; openssl dgst -sha256 -verify ep -signature s text; rm -f a ap b bp s1 s2 e ep s",
    "speed": "for a in sha1 sha256 sha512 aes-128-cbc aes-256-gcm chacha20-poly1305 ghash; do openssl speed -seconds 1 -bytes 1024 -evp $a 2>/dev/null | tail -n 1 | cut -d' ' -f1; done",
    "poly1305": "openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -in binary poly1305; openssl mac -cipher aes-128-gcm -macopt hexkey:00112233445566778899aabbccddeeff -macopt iv:000102030405060708090a0b -in binary gmac",
}
# numpy's own tests by file; the tests that fail are the output. What wants an array of 4 GiB is left out.
NUMPY = ["core/tests/test_umath", "core/tests/test_simd", "core/tests/test_multiarray", "core/tests/test_numeric", "core/tests/test_ufunc", "core/tests/test_scalarmath",
         "core/tests/test_einsum", "core/tests/test_half", "core/tests/test_indexing", "core/tests/test_dtype", "core/tests/test_umath_complex",
         "core/tests/test_umath_accuracy", "core/tests/test_longdouble", "core/tests/test_nditer", "core/tests/test_regression", "linalg/tests/test_linalg", "linalg/tests/test_regression"]
# Its square root for Advanced SIMD raises Invalid for numbers that are none of its elements.
NUMPY_ARM = ["core/tests/test_umath"]


def cases():
    out = []

    def scripts(group, table, reference="native"):
        out.extend(Case(group, name, ["/bin/dash", "-c", LIBRARIES + text + "; rm -f v.yuv p.ppm s.raw"], reference=reference) for name, text in table.items())

    scripts("ffmpeg", FFMPEG)
    scripts("ffmpeg", FFMPEG_ARM, "qemu")
    scripts("jpeg", JPEG)
    scripts("x264", X264)
    scripts("x264", X264_ARM, "qemu")
    scripts("openssl", OPENSSL)
    for name in NUMPY:
        file = f"/usr/lib/python3/dist-packages/numpy/{name}.py"
        test = (f"python3 -m pytest -q -m 'not slow' -k 'not huge_array' -p no:cacheprovider --rootdir /tmp -o addopts= {file} >log 2>&1; "
                "grep -E '^(FAILED|ERROR)' log | sed 's/ - .*//' | sort; grep -oE '[0-9]+ (failed|error)|[1-9][0-9]* passed' log | sed 's/[0-9]* passed/passed/'; rm -f log")
        reference = "qemu" if name in NUMPY_ARM else "native"
        out.append(Case("numpy", name.replace("/tests/test_", "-"), ["/bin/dash", "-c", LIBRARIES + test], reference=reference))
    return out
