/* SPDX-License-Identifier: MIT */
/* Writes a dump of an instance to a file in one piece: who reads it sees this dump or the one before. For tools/ramka-map --every. */
#ifndef DUMPFILE_H
#define DUMPFILE_H

#include <ramka/ramka.h>
#include <stdio.h>

static inline void dumpfile_line(void *ctx, const char *line)
{
	fputs(line, (FILE *)ctx);
}

static inline bool dumpfile_write(const struct ramka *r, const char *path)
{
	char part[4096];
	FILE *f;
	bool ok;

	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return false;
	f = fopen(part, "w");
	if (!f)
		return false;
	ramka_dump(r, dumpfile_line, f);
	ok = !ferror(f);
	return !fclose(f) && ok && !rename(part, path);
}

#endif
