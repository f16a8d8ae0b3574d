# SPDX-License-Identifier: MIT
"""
How a runner in Python counts; tests/results.sh is the same for shell.

	results = Results(planned)     so many results must come; one that never comes is a failure
	results.ok(name, text)         one result each, printed as a line "ok   NAME: TEXT"
	results.fail(name, text)
	results.verdict(name, wrong)   ok if nothing is wrong; else one failure, with what is wrong below it
	results.finish()               the closing line "N passed, N failed"; returns the exit status
"""
import sys


class Results:
	def __init__(self, planned):
		self.planned, self.passed, self.failed = planned, 0, 0

	def ok(self, name, text=''):
		print(f'ok   {name}' + (f': {text}' if text else ''), flush=True)
		self.passed += 1

	def fail(self, name, text=''):
		print(f'FAIL {name}' + (f': {text}' if text else ''), flush=True)
		self.failed += 1

	def verdict(self, name, wrong):
		if not wrong:
			self.ok(name)
			return
		self.fail(name)
		for what in wrong:
			print('     ' + what.strip().replace('\n', '\n     '))

	def finish(self):
		came = self.passed + self.failed
		if came != self.planned or not came:
			self.fail('the plan', f'{self.planned} results are expected, {came} came')
			self.failed += max(0, self.planned - came - 1)
		print(f'{self.passed} passed, {self.failed} failed')
		sys.stdout.flush()
		return 1 if self.failed else 0
