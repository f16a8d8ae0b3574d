/* SPDX-License-Identifier: MIT */
/*
 * Runs plain C arithmetic on symbolic words and asks a solver about the result.
 *
 * word<W> is an unsigned integer of W bits that is a number or an SMT term over bit-vectors. It has the operators of C
 * with C's conversions among unsigned types, so a header of pure arithmetic compiles with `uint64_t` and `unsigned`
 * defined to be words: what is proved is the header itself. A condition on a term forks: the function is run again for
 * each combination of answers, and each run is a path with its conditions. Loops must end on numbers.
 *
 *   goal("name", [] { auto w = fresh<64>(); assume(...); prove(...); });
 *
 * Each prove() is the query "path and assumptions and not this", which must be unsatisfiable. A shift by the width or
 * more is undefined in C, so each shift by a term is a prove() of its own. A goal whose assumptions no path satisfies
 * would prove anything: that is a failure.
 */
#ifndef SYMBOLIC_HH
#define SYMBOLIC_HH

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace sym {

struct run {
	std::vector<bool> answers;      // of this path
	size_t at = 0;
	std::vector<std::string> conditions;
	std::string body;               // definitions
	std::string queries;
	unsigned names = 0, nr_queries = 0;
};
inline run now;

inline std::string name_of(const std::string &sort, const std::string &term)
{
	std::string name = "t" + std::to_string(now.names++);

	now.body += "(define-fun " + name + " () " + sort + " " + term + ")\n";
	return name;
}

inline std::string all_conditions()
{
	std::string s = "true";

	for (auto &c : now.conditions)
		s = "(and " + s + " " + c + ")";
	return s;
}

inline void query(const std::string &claim)
{
	now.queries += "(push)\n(assert " + all_conditions() + ")\n(assert (not " + claim + "))\n(check-sat)\n(pop)\n";
	now.nr_queries++;
}

// A condition: known, or a term that forks when C asks for its truth.
struct cond {
	bool known, value;
	std::string term;

	cond(bool v) : known(true), value(v), term(v ? "true" : "false") {}
	explicit cond(const std::string &t) : known(false), value(false), term(t) {}
	explicit operator bool() const
	{
		if (known)
			return value;
		if (now.at == now.answers.size())
			now.answers.push_back(true);
		if (now.at > 1000) {
			fprintf(stderr, "a loop that does not end on numbers\n");
			abort();
		}
		bool a = now.answers[now.at++];
		now.conditions.push_back(a ? term : "(not " + term + ")");
		return a;
	}
};
inline cond both(const cond &a, const cond &b) { return cond("(and " + a.term + " " + b.term + ")"); }
inline cond either(const cond &a, const cond &b) { return cond("(or " + a.term + " " + b.term + ")"); }
inline cond negated(const cond &a) { return cond("(not " + a.term + ")"); }
inline cond same(const cond &a, const cond &b) { return cond("(= " + a.term + " " + b.term + ")"); }
inline cond implies(const cond &a, const cond &b) { return cond("(=> " + a.term + " " + b.term + ")"); }

inline void assume(const cond &c) { now.conditions.push_back(c.term); }
inline void prove(const cond &c) { query(c.term); }

template <unsigned W> struct word {
	bool known;
	uint64_t value;
	std::string term;

	static uint64_t cut(uint64_t v) { return W == 64 ? v : v & ((UINT64_C(1) << W % 64) - 1); }
	static std::string literal(uint64_t v)
	{
		return "(_ bv" + std::to_string(cut(v)) + " " + std::to_string(W) + ")";
	}
	static std::string sort() { return "(_ BitVec " + std::to_string(W) + ")"; }

	template <class T, class = std::enable_if_t<std::is_integral<T>::value>>
	word(T v = 0) : known(true), value(cut((uint64_t)v)), term(literal((uint64_t)v)) {}
	static word of(const std::string &t)
	{
		word w(0);
		w.known = false;
		w.term = name_of(sort(), t);
		return w;
	}
	// a cast or an implicit conversion, as in C
	template <unsigned V> word(const word<V> &o) : word(0)
	{
		if (o.known)
			*this = word(o.value);
		else if (V < W)
			*this = of("((_ zero_extend " + std::to_string(W - V) + ") " + o.term + ")");
		else
			*this = of("((_ extract " + std::to_string(W - 1) + " 0) " + o.term + ")");
	}
	explicit operator bool() const { return (bool)(*this != word(0)); }
	// an index into a table
	operator size_t() const
	{
		if (!known) {
			fprintf(stderr, "a term where C needs a number\n");
			abort();
		}
		return value;
	}

	word operator~() const { return known ? word(~value) : of("(bvnot " + term + ")"); }
	word operator-() const { return word(0) - *this; }
	cond operator!() const { return *this == word(0); }
	word &operator++() { return *this = *this + word(1); }
	word &operator--() { return *this = *this - word(1); }
	word operator++(int) { word old = *this; ++*this; return old; }
	word operator--(int) { word old = *this; --*this; return old; }

#define SYM_BINARY(op, smt) \
	friend word operator op(const word &a, const word &b) \
	{ return a.known && b.known ? word(a.value op b.value) : of("(" smt " " + a.term + " " + b.term + ")"); }
	SYM_BINARY(+, "bvadd")
	SYM_BINARY(-, "bvsub")
	SYM_BINARY(*, "bvmul")
	SYM_BINARY(&, "bvand")
	SYM_BINARY(|, "bvor")
	SYM_BINARY(^, "bvxor")
#define SYM_COMPARE(op, smt) \
	friend cond operator op(const word &a, const word &b) \
	{ return a.known && b.known ? cond(a.value op b.value) : cond("(" smt " " + a.term + " " + b.term + ")"); }
	SYM_COMPARE(==, "=")
	SYM_COMPARE(<, "bvult")
	SYM_COMPARE(<=, "bvule")
	SYM_COMPARE(>, "bvugt")
	SYM_COMPARE(>=, "bvuge")
	friend cond operator!=(const word &a, const word &b)
	{ return a.known && b.known ? cond(a.value != b.value) : negated(a == b); }

	template <unsigned V> word shifted(const word<V> &n, bool left) const
	{
		if (!n.known)
			prove(n < word<V>(W));
		else if (n.value >= W) {
			query("false");
			return word(0);
		}
		if (known && n.known)
			return word(left ? value << n.value : value >> n.value);
		return of(std::string(left ? "(bvshl " : "(bvlshr ") + term + " " + word(n).term + ")");
	}
};

// number op word and word op number: the number takes part as C's `int` or `unsigned` would
#define SYM_MIXED(op, result) \
	template <unsigned W, class T, class = std::enable_if_t<std::is_integral<T>::value>> \
	result operator op(const word<W> &a, T b) { return a op word<W>(b); } \
	template <unsigned W, class T, class = std::enable_if_t<std::is_integral<T>::value>> \
	result operator op(T a, const word<W> &b) { return word<W>(a) op b; } \
	inline auto operator op(const word<64> &a, const word<32> &b) { return a op word<64>(b); } \
	inline auto operator op(const word<32> &a, const word<64> &b) { return word<64>(a) op b; }
SYM_MIXED(+, word<W>)
SYM_MIXED(-, word<W>)
SYM_MIXED(*, word<W>)
SYM_MIXED(&, word<W>)
SYM_MIXED(|, word<W>)
SYM_MIXED(^, word<W>)
SYM_MIXED(==, cond)
SYM_MIXED(!=, cond)
SYM_MIXED(<, cond)
SYM_MIXED(<=, cond)
SYM_MIXED(>, cond)
SYM_MIXED(>=, cond)

template <unsigned W, unsigned V> word<W> operator<<(const word<W> &a, const word<V> &n) { return a.shifted(n, true); }
template <unsigned W, unsigned V> word<W> operator>>(const word<W> &a, const word<V> &n) { return a.shifted(n, false); }
template <unsigned W, class T, class = std::enable_if_t<std::is_integral<T>::value>>
word<W> operator<<(const word<W> &a, T n) { return a.shifted(word<32>(n), true); }
template <unsigned W, class T, class = std::enable_if_t<std::is_integral<T>::value>>
word<W> operator>>(const word<W> &a, T n) { return a.shifted(word<32>(n), false); }
template <unsigned V, class T, class = std::enable_if_t<std::is_integral<T>::value>>
word<8 * sizeof(T)> operator<<(T a, const word<V> &n) { return word<8 * sizeof(T)>(a).shifted(n, true); }

#define SYM_ASSIGN(op) \
	template <unsigned W, class B> word<W> &operator op##=(word<W> &a, const B &b) { return a = a op b; }
SYM_ASSIGN(+)
SYM_ASSIGN(-)
SYM_ASSIGN(*)
SYM_ASSIGN(&)
SYM_ASSIGN(|)
SYM_ASSIGN(^)
SYM_ASSIGN(<<)
SYM_ASSIGN(>>)

// any value; the same one in every path of a goal
inline unsigned fresh_names;
inline std::string declarations;
template <unsigned W> word<W> fresh()
{
	word<W> w(0);

	w.known = false;
	w.term = "x" + std::to_string(fresh_names++);
	declarations += "(declare-const " + w.term + " " + word<W>::sort() + ")\n";
	return w;
}

// What a goal says, as one SMT-LIB file. Its answers: for each path one about its conditions, then its queries.
inline std::string out_dir = ".";
inline unsigned goals;

inline void goal(const std::string &name, const std::function<void()> &body)
{
	std::string text = "(set-logic QF_BV)\n";
	std::vector<bool> answers;
	std::string file = out_dir + "/" + name + ".smt2";
	unsigned paths = 0;

	for (;;) {
		now = run();
		now.answers = answers;
		fresh_names = 0;
		declarations.clear();
		body();
		now.answers.resize(now.at);
		text += "; path " + std::to_string(++paths) + "\n(push)\n" + declarations + now.body;
		text += "(echo \"path\")\n(push)\n(assert " + all_conditions() + ")\n(check-sat)\n(pop)\n";
		text += "(echo \"queries\")\n" + now.queries + "(pop)\n";
		answers = now.answers;
		while (!answers.empty() && !answers.back())
			answers.pop_back();
		if (answers.empty())
			break;
		answers.back() = false;
	}
	FILE *f = fopen(file.c_str(), "w");
	if (!f || fputs(text.c_str(), f) < 0 || fclose(f)) {
		perror(file.c_str());
		exit(2);
	}
	goals++;
}

} // namespace sym

#endif
