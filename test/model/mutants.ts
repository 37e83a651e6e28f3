/** One fault each, planted into the model: the search must refute every one. */
export const MUTANTS = [
  'a late grant is kept',
  'the alarm rings once',
  'a wait is freed when patience is over',
  'return to the poll list without a look at the state',
  'attach without a look at the state',
  'no comparison with the path',
  'cancel without a look for the end',
  'teardown frees a wait that a thread runs',
  'a report to an environment that has ended',
  'the thread frees a cancelled wait',
  'an aborted grant is kept',
  'no pump after a waiter has left',
  'handed on without confirmation',
] as const;
export type Mutant = (typeof MUTANTS)[number] | null;
