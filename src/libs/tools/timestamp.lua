-- `kong.tools.timestamp`: time stamps in UTC and the starts of the periods they lie in (milliseconds).

local luatz = require "luatz"

local M = {
  timestamp_table_fields = require("pl.tablex").readonly { "second", "minute", "hour", "day", "month", "year" },
}

-- Anything later than the year 20000 must be milliseconds.
local SECONDS = luatz.timetable.new(20000, 1, 1):timestamp()

function M.get_utc()
  return math.floor(ngx.now()) * 1000
end

function M.get_utc_ms()
  return ngx.now() * 1000
end

--- The parts of a time stamp in UTC: of seconds, milliseconds, or now if none is given.
function M.get_timetable(now)
  now = now or M.get_utc()
  return luatz.timetable.new_from_timestamp(now > SECONDS and now / 1000 or now)
end

--- For each period the start of the one that `now` lies in.
function M.get_timestamps(now)
  local t = M.get_timetable(now)
  local stamps = {}
  local function cut(name, part, value)
    t[part] = value
    stamps[name] = t:timestamp() * 1000
  end
  cut("second", "sec", math.floor(t.sec))
  cut("minute", "sec", 0)
  cut("hour", "min", 0)
  cut("day", "hour", 0)
  cut("month", "day", 1)
  cut("year", "month", 1)
  return stamps
end

return M
