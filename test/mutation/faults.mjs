import { libraryFaults } from './library-faults.mjs';
import { nativeFaults } from './native-faults.mjs';

/** Every fault that the tests must notice. */
export const faults = [...nativeFaults, ...libraryFaults];

/** How often `text` has what a fault looks for. Other than once, the fault is out of date. */
export function occurrences(text, { find }) {
  return text.split(find).length - 1;
}
