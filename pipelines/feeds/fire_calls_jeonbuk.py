"""119 calls published by Jeonbuk: the call-reception file of the national fire data platform (bigdata-119).

Grain: one row per call and responding unit; a call without a dispatched unit has one row without times. A snapshot: the
source does not guarantee that the numbers (`dclr_rcpt_no`) are unique, and units have no name. Pitfalls: `dclr_tm` has
lost its leading zeros ('24' is 00:00:24), and the times of day in `…_dt` may have too; naive Korean time; trailing
spaces; two pairs of coordinates in degrees, of which the scene (`damg_rgn_…`) takes precedence over the place of the
accident (`acdnt_ocrn_…`); both are blank on most calls for advice.
"""

from pipelines.feeds.protocols import fire_files

FEED = fire_files.feed(
    "fire_calls_jeonbuk",
    staged_like="call_file",
    used=(
        "dclr_rcpt_no",
        "dclr_ymd",
        "dclr_tm",
        "rcpt_path_nm",
        "emrg_rscu_assrt_nm",
        "emrg_rscu_clsf_nm",
        "prcs_rslt_se_nm",
        "dspt_drtv_dt",
        "grnds_arvl_dt",
        "hsptl_arvl_dt",
        "cbk_dt",
        "cmptnc_frstn_nm",
        "damg_rgn_lot",
        "damg_rgn_lat",
        "acdnt_ocrn_lot",
        "acdnt_ocrn_lat",
        "clmty_ctpv_nm",
        "clmty_sgg_nm",
    ),
    unused=(
        "jnt_crsp_yn",
        "plcscn_cntr_nm",
        "emrg_rscu_scl_nm",
        "sittn_end_dt",
        "dclr_dt",
        "clmty_emd_nm",
        "rcpt_end_tm",
        "rcpt_end_dt",
        "rcpt_end_ymd",
        "centr_rsun_dspt_dmnd_yn",
        "cllbc_yn",
        "otr_ctpv_dclr_yn",
        "otr_ctpv_dspt_yn",
        "grnds_sgg_nm",
        "grnds_ctpv_nm",
        "chem_acdnt_yn",
    ),
    coordinate_columns=("damg_rgn_lot", "damg_rgn_lat"),
)
