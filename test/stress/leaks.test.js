'use strict';

// The tests of what must leave nothing, at length.
process.env.EACH ??= '1000';
require('../open/lifetime.test');
require('../socket/lifetime.test');
