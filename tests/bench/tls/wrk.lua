-- Requests of N identities in turn; N is the first argument.
local requests, n, i = {}, 0, 0

function init(args)
  n = tonumber(args[1])
  for k = 0, n - 1 do
    requests[k] = wrk.format("GET", "/bench", {
      Host = "bench.local",
      ["User-Agent"] = "wrk",
      Accept = "*/*",
      ["x-identity"] = "c" .. k,
    })
  end
end

function request()
  i = (i + 1) % n
  return requests[i]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    e.connect + e.read + e.write + e.status + e.timeout))
end
