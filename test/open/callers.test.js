'use strict';

// A short run of what `npm run stress` does at length.
process.env.CALLS ??= '2000';
process.env.SEED ??= '1';
require('../stress/callers.test');
