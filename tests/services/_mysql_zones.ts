/**
 * Named time zones for a MySQL or MariaDB server. A new server knows only offsets such as `+01:00`. Names need rows
 * in four tables. These rows are generated from the runtime's time zones, so no zone files and no tool are needed.
 */

/** The zones: summer time in the north and in the south, and one of only half an hour. */
const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
const FROM = Temporal.Instant.from("2019-12-31T00:00:00Z");
const UNTIL = Temporal.Instant.from("2041-01-01T00:00:00Z");

/** Statements for the database `mysql`, one per line, that add the zones to a server. */
export function zoneStatements(): string[] {
  return ZONES.flatMap((name, index) => statementsFor(name, index + 1));
}

function statementsFor(name: string, id: number): string[] {
  let at = FROM.toZonedDateTimeISO(name);
  // A server uses the first type for all times before the first transition.
  const offsets = [offsetSeconds(at)];
  const transitions: string[] = [];
  for (;;) {
    const next = at.getTimeZoneTransition("next");
    if (next === null || Temporal.Instant.compare(next.toInstant(), UNTIL) >= 0) break;
    at = next;
    const offset = offsetSeconds(at);
    if (!offsets.includes(offset)) offsets.push(offset);
    transitions.push(`(${id},${at.epochMilliseconds / 1000},${offsets.indexOf(offset)})`);
  }
  const standard = Math.min(...offsets);
  const types = offsets.map((offset, type) => {
    const summer = offset === standard ? 0 : 1;
    return `(${id},${type},${offset},${summer},'${summer ? "DST" : "STD"}')`;
  });
  // Type 0 must exist before a transition may refer to it. Several rows per statement keep the server's start fast.
  return [
    `INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (${id},'N');`,
    `INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('${name}',${id});`,
    "INSERT INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation) " +
    `VALUES ${types.join(",")};`,
    "INSERT INTO mysql.time_zone_transition (Time_zone_id, Transition_time, Transition_type_id) " +
    `VALUES ${transitions.join(",")};`,
  ];
}

function offsetSeconds(at: Temporal.ZonedDateTime): number {
  return at.offsetNanoseconds / 1_000_000_000;
}
