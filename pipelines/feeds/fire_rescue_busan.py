"""Rescue dispatches published by Busan: the rescue file of the national fire data platform (bigdata-119).

Grain: one row per responding unit. A snapshot: `clmty_rscu_rptp_no` numbers a unit's report, not the call, so staging
combines reports with the same report time and district into one incident. Pitfalls: every `…_tm` has lost its leading
zeros ('24' is 00:00:24, '4200' is 00:42:00); each stage has its own date, so dispatches past midnight are complete;
naive Korean time; trailing spaces; coordinates are text and may be blank.
"""

from pipelines.feeds.protocols import fire_files

FEED = fire_files.feed(
    "fire_rescue_busan",
    staged_like="unit_file",
    used=(
        "clmty_rscu_rptp_no",
        "dclr_ymd",
        "dclr_tm",
        "dspt_ymd",
        "dspt_tm",
        "grnds_arvl_ymd",
        "grnds_arvl_tm",
        "rscu_cmptn_ymd",
        "rscu_cmptn_tm",
        "cbk_ymd",
        "cbk_tm",
        "frstn_nm",
        "cntr_nm",
        "lfdau_nm",
        "damg_rgn_lot",
        "damg_rgn_lat",
        "grnds_ctpv_nm",
        "grnds_sgg_nm",
        "acdnt_cs_nm",
        "acdnt_cs_assrt_nm",
        "etc_ocrn_type_dtl_nm",
        "prcs_rslt_se_nm",
    ),
    unused=(
        "acdnt_ocrn_plc_nm",
        "grnds_dstnc",
    ),
    coordinate_columns=("damg_rgn_lot", "damg_rgn_lat"),
)
