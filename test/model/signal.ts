/** What the queue needs of an AbortSignal. That of Node catches what a listener throws. */
export class Signal {
  aborted = false;
  readonly reason = new Error('aborted');
  #listener: () => void = () => {};

  addEventListener(_: string, listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = () => {};
  }

  abort(): void {
    this.aborted = true;
    this.#listener();
  }
}
