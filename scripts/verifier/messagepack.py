"""The part of MessagePack that travels: docs/reference/protocol.md, "Values and their encoding"."""

import struct


def unpack(data):
    """One MessagePack value that fills the bytes."""
    value, rest = unpack_value(data)
    assert rest == b"", "bytes after the end"
    return value


def unpack_value(data):
    tag, data = data[0], data[1:]

    def number(form):
        size = struct.calcsize(form)
        return struct.unpack(form, data[:size])[0], data[size:]

    def run(length, rest, finish):
        return finish(rest[:length]), rest[length:]

    def array(length, rest):
        items = []
        for _ in range(length):
            item, rest = unpack_value(rest)
            items.append(item)
        return items, rest

    def mapping(length, rest):
        items, rest = array(2 * length, rest)
        assert len(set(items[::2])) == length, "a key twice"
        return dict(zip(items[::2], items[1::2])), rest

    if tag <= 0x7F:
        return tag, data
    if tag >= 0xE0:
        return tag - 256, data
    if tag <= 0x8F:
        return mapping(tag & 15, data)
    if tag <= 0x9F:
        return array(tag & 15, data)
    if tag <= 0xBF:
        return run(tag & 31, data, bytes.decode)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], data
    sizes = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
    if tag in sizes:
        return run(*number(sizes[tag]), bytes if tag < 0xD0 else bytes.decode)
    numbers = {0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    if tag in numbers:
        return number(numbers[tag])
    if tag in (0xDC, 0xDD):
        return array(*number(">H" if tag == 0xDC else ">I"))
    if tag in (0xDE, 0xDF):
        return mapping(*number(">H" if tag == 0xDE else ">I"))
    raise AssertionError(f"tag {tag:#x} does not travel")
