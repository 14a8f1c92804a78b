-- The figures of the overview and of the review, from the tables that machines and people write, of one line or of all.
WITH
boards AS (
    SELECT
        known.board_id,
        COALESCE(m.factory_line_id, '') AS line,
        m.opportunities,
        m.source,
        (SELECT i.inspection_id FROM inspections i WHERE i.board_id = known.board_id
         ORDER BY i.inspected_at, i.inspection_id LIMIT 1) AS first_id,
        (SELECT i.inspection_id FROM inspections i WHERE i.board_id = known.board_id
         ORDER BY i.inspected_at DESC, i.inspection_id DESC LIMIT 1) AS latest_id
    FROM (SELECT DISTINCT board_id FROM inspections) known
    LEFT JOIN pcb_metadata m ON m.board_id = known.board_id
),
words AS (
    SELECT
        d.inspection_id,
        (SELECT p.disposition FROM dispositions p
         WHERE p.inspection_id = d.inspection_id AND (p.inference_id IS NULL OR p.inference_id = d.inference_id)
         AND NOT (p.inference_id IS NULL AND p.disposition = 'ESCAPE' AND p.bbox_x_center IS NOT NULL)
         ORDER BY p.decided_at DESC, p.disposition_id DESC LIMIT 1) AS word
    FROM defect_logs d
),
judged AS (
    SELECT
        i.inspection_id,
        i.call,
        (SELECT p.disposition FROM dispositions p
         WHERE p.inspection_id = i.inspection_id AND p.inference_id IS NULL
         ORDER BY p.decided_at DESC, p.disposition_id DESC LIMIT 1) AS whole,
        (SELECT p.disposition FROM dispositions p
         WHERE p.inspection_id = i.inspection_id AND p.inference_id IS NULL AND (p.disposition = 'FALSE_CALL'
         OR (p.disposition = 'ESCAPE' AND p.bbox_x_center IS NOT NULL))
         ORDER BY p.decided_at DESC, p.disposition_id DESC LIMIT 1) IS 'ESCAPE' AS missed,
        (SELECT COUNT(*) FROM words w WHERE w.inspection_id = i.inspection_id AND word IS NOT NULL) AS judged,
        (SELECT COUNT(*) FROM words w WHERE w.inspection_id = i.inspection_id) AS detections,
        (SELECT COUNT(*) FROM words w WHERE w.inspection_id = i.inspection_id AND word = 'CONFIRMED') AS confirmed,
        (SELECT COUNT(*) FROM words w WHERE w.inspection_id = i.inspection_id AND word = 'FALSE_CALL') AS false_calls
    FROM inspections i
),
verdicts AS (
    SELECT *, CASE
        WHEN whole = 'ESCAPE' THEN 'BAD'
        WHEN call = 'PASS' THEN CASE WHEN whole IS NOT NULL THEN 'GOOD' END
        WHEN missed THEN 'BAD'
        WHEN confirmed > 0 THEN 'BAD'
        WHEN detections > 0 THEN CASE WHEN false_calls = detections THEN 'GOOD' END
        WHEN whole = 'FALSE_CALL' THEN 'GOOD'
        WHEN whole IS NOT NULL THEN 'BAD'
    END AS verdict
    FROM judged
),
seen AS (
    SELECT
        b.*,
        f.call AS first_call, f.verdict AS first_verdict,
        l.call AS call, l.verdict AS verdict, l.detections, l.confirmed, l.false_calls,
        -- What was missed says nothing of what was called.
        l.verdict IS NULL OR (l.detections > 0 AND l.judged = l.false_calls AND l.judged < l.detections) AS waits
    FROM boards b
    JOIN verdicts f ON f.inspection_id = b.first_id
    JOIN verdicts l ON l.inspection_id = b.latest_id
    WHERE :line IS NULL OR b.line = :line
)
SELECT
    COUNT(*) AS boards,
    (SELECT COUNT(*) FROM inspections i JOIN seen s ON s.board_id = i.board_id) AS inspections,
    SUM(call <> 'PASS' AND waits) AS awaiting,
    SUM(source = 'simulated') AS simulated,
    SUM(first_call = 'PASS') AS first_passed,
    SUM(CASE WHEN first_call = 'PASS' THEN first_verdict IS NOT 'BAD' ELSE first_verdict IS 'GOOD' END) AS first_good,
    SUM(first_verdict IS NOT NULL) AS first_reviewed,
    SUM(call = 'FAIL') AS failed,
    SUM(call = 'WITHHELD') AS withheld,
    SUM(detections) AS defects,
    SUM(CASE WHEN opportunities IS NOT NULL THEN detections END) AS rated_defects,
    SUM(opportunities) AS opportunities,
    SUM(verdict IS 'GOOD') AS good,
    SUM(verdict IS 'BAD') AS bad,
    SUM(call = 'FAIL' AND verdict IS 'GOOD') AS false_call_boards,
    SUM(call = 'PASS' AND verdict IS 'BAD') AS escapes,
    SUM(call = 'PASS' AND verdict IS NOT NULL) AS audited,
    SUM(confirmed) AS confirmed,
    SUM(false_calls) AS false_calls
FROM seen
