import { sendError, toPlain } from './errors.ts';
import type { FromSend, ToSend } from './messages.ts';
import { Send } from './send.ts';

// The thread of one send: plaintext and keys of what is sent live here, and go with it.

declare const self: DedicatedWorkerGlobalScope;
const abort = new AbortController();
const post = (message: FromSend): void => self.postMessage(message);

async function run(message: Extract<ToSend, { kind: 'start' }>): Promise<void> {
  try {
    const send = new Send(message.job, abort.signal, (progress) => post({ kind: 'progress', progress }));
    post({ kind: 'result', result: await send.run() });
  } catch (error) {
    post({
      kind: 'error',
      error: toPlain(abort.signal.aborted ? new DOMException('', 'AbortError') : sendError(error)),
    });
  }
}

self.addEventListener('message', ({ data }: MessageEvent<ToSend>) => {
  if (data.kind === 'start') void run(data);
  else abort.abort();
});
