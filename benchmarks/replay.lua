-- Replays a file of whole HTTP requests, in which each stands behind a line with its length. A second argument is the
-- rate: so many requests a second begin, or as many as the server answers.
-- Prints one line of results: requests, microseconds, p50, p99, answers other than 200, socket errors.

local ffi = require("ffi")
ffi.cdef("typedef struct { long s, ns; } moment; int clock_gettime(int, moment *);")

local requests, at = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  while true do
    local length = file:read("*l")
    if not length then break end
    requests[#requests + 1] = file:read(tonumber(length))
    file:read(1)
  end
  file:close()
  if arguments[2] then delay = paced(tonumber(arguments[2])) end
end

-- Milliseconds until the next request may begin.
function paced(rate)
  local moment, due = ffi.new("moment[1]"), 0
  return function()
    ffi.C.clock_gettime(1, moment)  -- CLOCK_MONOTONIC
    local now = tonumber(moment[0].s) + tonumber(moment[0].ns) / 1e9
    due = math.max(due + 1 / rate, now)
    return math.floor((due - now) * 1000 + math.random())
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, all)
  local errors = summary.errors
  print(string.format(
    "RESULT %d %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
