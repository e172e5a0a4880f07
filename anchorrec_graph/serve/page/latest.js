/** What a call may come to: an error with a code, or nothing, because a later call has overtaken it. */

export class Problem extends Error {
  constructor(code, message, field = null, status = 0) {
    super(message);
    Object.assign(this, { code, field, status });
  }
}

/**
 * Only the latest call counts: `const only = latest(); const answer = await only((signal) => ...)` cancels
 * the call before, which then gives undefined.
 */
export function latest() {
  let current = null;
  return async (work) => {
    current?.abort();
    const own = new AbortController();
    current = own;
    try {
      const answer = await work(own.signal);
      return own.signal.aborted ? undefined : answer;
    } catch (error) {
      if (own.signal.aborted) return undefined;
      throw error;
    }
  };
}
