-- `kong.tools.timestamp`: time stamps in UTC and the starts of the periods they lie in (milliseconds).

local M = {}

function M.get_utc()
  return math.floor(ngx.now()) * 1000
end

function M.get_utc_ms()
  return ngx.now() * 1000
end

-- Days since the epoch of a civil date (proleptic Gregorian calendar).
local function days(y, m, d)
  y = m <= 2 and y - 1 or y
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

--- The parts of a time stamp (milliseconds; now if none is given), in UTC.
function M.get_timetable(now)
  local t = os.date("!*t", math.floor((now or M.get_utc()) / 1000))
  return { year = t.year, month = t.month, day = t.day, hour = t.hour, min = t.min, sec = t.sec }
end

--- For each period the start of the one that `now` lies in.
function M.get_timestamps(now)
  local t = M.get_timetable(now)
  local function at(month, day, hour, min, sec)
    return (days(t.year, month, day) * 86400 + hour * 3600 + min * 60 + sec) * 1000
  end
  return {
    second = at(t.month, t.day, t.hour, t.min, t.sec),
    minute = at(t.month, t.day, t.hour, t.min, 0),
    hour = at(t.month, t.day, t.hour, 0, 0),
    day = at(t.month, t.day, 0, 0, 0),
    month = at(t.month, 1, 0, 0, 0),
    year = at(1, 1, 0, 0, 0),
  }
end

return M
