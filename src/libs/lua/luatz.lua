-- `luatz`: dates in UTC as tables. What Kong's time stamps take from it: `time`, and time tables.

local libs = require("moongate.ops").libs

local floor = math.floor

-- Days since the epoch of a civil date (proleptic Gregorian calendar).
local function days(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era = floor(year / 400)
  local of_era = year - era * 400
  local of_year = floor((153 * (month - 3) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
end

local Timetable = {}
Timetable.__index = Timetable

local function new(year, month, day, hour, min, sec, yday, wday)
  return setmetatable({
    year = year, month = month, day = day, hour = hour or 0, min = min or 0, sec = sec or 0,
    yday = yday, wday = wday,
  }, Timetable)
end

--- Seconds since the epoch.
function Timetable:timestamp()
  local months = self.year * 12 + self.month - 1
  local year = floor(months / 12)
  return days(year, months - year * 12 + 1, self.day) * 86400 + self.hour * 3600 + self.min * 60 + self.sec
end

local function from_timestamp(seconds)
  local t = os.date("!*t", floor(seconds))
  return new(t.year, t.month, t.day, t.hour, t.min, t.sec + seconds % 1, t.yday, t.wday)
end

--- Puts parts that are out of their ranges right (the 32nd of January is the 1st of February).
function Timetable:normalise()
  for key, value in pairs(from_timestamp(self:timestamp())) do
    self[key] = value
  end
  return self
end
Timetable.normalize = Timetable.normalise

function Timetable:unpack()
  return self.year, self.month, self.day, self.hour, self.min, self.sec, self.yday, self.wday
end

function Timetable:clone()
  return new(self:unpack())
end

function Timetable:rfc_3339()
  local whole = floor(self.sec)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%03d"):format(self.year, self.month, self.day, self.hour,
    self.min, whole, (self.sec - whole) * 1000)
end

Timetable.__tostring = Timetable.rfc_3339

function Timetable.__eq(a, b)
  return a:timestamp() == b:timestamp()
end

function Timetable.__lt(a, b)
  return a:timestamp() < b:timestamp()
end

--- Seconds since the epoch, with fractions.
local function time()
  return libs.time_ns() / 1e9
end

-- A time as RFC 3339 writes it: the table, and what it is ahead of UTC in seconds (nil where it does not say).
local function read(text, init)
  local date, clock, at = text:match("^(%d%d%d%d%-%d%d%-%d%d)[Tt](%d%d:%d%d:%d%d%.?%d*)()", init)
  if not date then
    return nil, "Invalid RFC 3339 timestamp"
  end
  local y, m, d = date:match("(%d+)-(%d+)-(%d+)")
  local hour, min, sec = clock:match("(%d+):(%d+):(.+)")
  local t = new(tonumber(y), tonumber(m), tonumber(d), tonumber(hour), tonumber(min), tonumber(sec))
  if text:find("^[Zz]", at) then
    return t, 0
  end
  local sign, ahead_h, ahead_min = text:match("^([+-])(%d%d):(%d%d)", at)
  local ahead = sign and ahead_h * 3600 + ahead_min * 60
  return t, sign == "-" and -ahead or ahead
end

return {
  parse = { rfc_3339 = read },
  time = time,
  gettime = { gettime = time },
  timetable = {
    new = new,
    new_from_timestamp = from_timestamp,
    timestamp = function(...) return new(...):timestamp() end,
  },
  now = function() return from_timestamp(time()) end,
}
