import assert from 'node:assert/strict';
import { pino } from 'pino';
import { format, libp2pLogger } from '../../../node/network/logger.ts';

describe("libp2p's log", () => {
  it('goes to ours: its errors at debug, the rest at trace, with the component named', () => {
    const lines: { level: number; component: string; msg: string }[] = [];
    const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const logger = libp2pLogger(log).forComponent('libp2p:tcp').newScope('listener');
    logger('not shown at this level');
    logger.error('dial to %a failed - %e', '/ip4/127.0.0.1/tcp/1', new TypeError('refused'));
    assert.deepEqual(
      lines.map(({ level, component, msg }) => ({ level, component, msg })),
      [
        {
          level: 20,
          component: 'libp2p:tcp:listener',
          msg: 'dial to /ip4/127.0.0.1/tcp/1 failed - TypeError: refused',
        },
      ],
    );
  });

  it('never holds what was sent', () => {
    const payload = Buffer.from('a private pair');
    assert.equal(format('sent %b and %o', [payload, { text: 'a private pair' }]), 'sent 14 bytes and (object)');
  });
});
