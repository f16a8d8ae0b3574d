# SPDX-License-Identifier: MIT
"""Reads the PNGs that ramka-map writes: png.py FILE X Y... prints "WIDTH HEIGHT", then the colour at each place."""
import struct
import sys
import zlib


def main():
	data = open(sys.argv[1], 'rb').read()
	assert data[:8] == b'\x89PNG\r\n\x1a\n'
	at, pixels = 8, b''
	while at < len(data):
		size, kind = struct.unpack('>I4s', data[at:at + 8])
		body = data[at + 8:at + 8 + size]
		assert struct.unpack('>I', data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
		if kind == b'IHDR':
			width, height, depth, colour = struct.unpack('>IIBB', body[:10])
			assert (depth, colour) == (8, 2)
		elif kind == b'IDAT':
			pixels += body
		at += 12 + size
	pixels = zlib.decompress(pixels)
	assert len(pixels) == height * (1 + 3 * width)
	print(width, height)
	for x, y in zip(map(int, sys.argv[2::2]), map(int, sys.argv[3::2])):
		i = y * (1 + 3 * width) + 1 + 3 * x
		print(*pixels[i:i + 3])


if __name__ == '__main__':
	main()
