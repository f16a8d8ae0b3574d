# SPDX-License-Identifier: MIT
"""Reads debug information: the fields of structures, and the source lines of code addresses."""

import os
import re
import subprocess


class Die:
    """An entry of .debug_info."""

    def __init__(self, tag):
        self.tag, self.attributes, self.children = tag, {}, []


HEAD = re.compile(r"\s*<([0-9a-f]+)><([0-9a-f]+)>: Abbrev Number: \d+(?: \((\w+)\))?")
ATTRIBUTE = re.compile(r"\s*<[0-9a-f]+>\s+(DW_AT_\w+)\s*: ?(.*)")


def entries(object_file):
    """The entries of an object file by their offset."""
    text = subprocess.run(["readelf", "--debug-dump=info", object_file], capture_output=True, text=True,
                          check=True).stdout
    dies, path, die = {}, [], None
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            depth, offset = int(head[1], 16), int(head[2], 16)
            if not head[3]:
                continue
            die = dies[offset] = Die(head[3])
            del path[depth:]
            if path:
                path[-1].children.append(die)
            path.append(die)
        elif die:
            attribute = ATTRIBUTE.match(line)
            if attribute:
                value = attribute[2].strip()
                if value.startswith("(indir") or value.startswith("(string)"):
                    value = value.split("): ")[-1].strip()
                die.attributes[attribute[1]] = value
    return dies


class Structures:
    """The fields that lie at offsets of structures."""

    def __init__(self, object_file):
        self.dies = entries(object_file)
        self.by_name = {d.attributes["DW_AT_name"]: d for d in self.dies.values()
                        if d.tag == "DW_TAG_structure_type" and "DW_AT_name" in d.attributes and d.children}

    def type_of(self, die):
        """The type of a member or an array, without names and qualifiers of it."""
        while True:
            ref = re.match(r"<0x([0-9a-f]+)>", die.attributes.get("DW_AT_type", ""))
            if not ref:
                return None
            die = self.dies[int(ref[1], 16)]
            if die.tag not in ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type"):
                return die

    def size(self, die):
        if die.tag == "DW_TAG_array_type":
            n = 1
            for bound in die.children:
                n *= int(bound.attributes.get("DW_AT_upper_bound", "0"), 0) + 1
            return n * self.size(self.type_of(die))
        return int(die.attributes.get("DW_AT_byte_size", "8"), 0)

    def path(self, die, offset):
        """What lies at an offset of a type: ".cache.frames[..]"."""
        if die is None:
            return ""
        if die.tag == "DW_TAG_array_type":
            element = self.type_of(die)
            return "[]" + self.path(element, offset % self.size(element))
        if die.tag != "DW_TAG_structure_type":
            return ""
        for member in die.children:
            at = int(member.attributes.get("DW_AT_data_member_location", "0").split()[0], 0)
            of = self.type_of(member)
            if of is not None and at <= offset < at + self.size(of):
                name = member.attributes.get("DW_AT_name", "")
                if name == "value":  # the one field of an atomic
                    return ""
                return "." + name + self.path(of, offset - at)
        return ".padding"

    def field(self, structure, offset):
        die = self.by_name.get(structure)
        return self.path(die, offset) if die else ""


def source_lines(program, addresses):
    """{return address of a call: (function, "file.c:line")}"""
    if not addresses:
        return {}
    todo = sorted(addresses)
    text = subprocess.run(["addr2line", "-f", "-e", program] + [hex(a - 1) for a in todo], capture_output=True,
                          text=True, check=True).stdout.splitlines()
    return {a: (text[2 * i], os.path.basename(re.sub(r" \(.*", "", text[2 * i + 1]))) for i, a in enumerate(todo)}
