// Holds the data folder named on the command line until it is killed; says so on its output.
import { DataFolder } from '../../../node/storage/dataFolder.ts';

const [home] = process.argv.slice(2);
if (home === undefined) throw new Error('usage: lockHolder.ts HOME');
const folder = await DataFolder.open(home);
process.stdout.write('held\n');
setInterval(() => folder.paths, 1_000_000);
