/** The thread that verifies a large round. */
import { parentPort, workerData } from 'node:worker_threads';
import { verifyHere } from './roundVerification.ts';
import type { VerificationReply, VerificationTask } from './roundVerification.ts';

const { checked, failures, receipt } = verifyHere(workerData as VerificationTask);
const reply: VerificationReply = {
  checked,
  failures: failures.map(({ code, details }) => ({ code, details })),
  readable: receipt !== null,
};
parentPort!.postMessage(reply);
