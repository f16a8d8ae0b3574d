# SPDX-License-Identifier: MIT
#
# For a kernel that compiles ramka with its own rules and flags:
#
#	include ramka/sources.mk
#
# ramka_sources    the core's files
# ramka_cflags     what they need: the language and the include path. Flags of each machine: docs/embedding.md

ramka_dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ramka_sources := $(addprefix $(ramka_dir)/lib/,$(shell sh $(ramka_dir)/lib/sources.sh))
ramka_cflags := -std=c11 -I$(ramka_dir)/include
